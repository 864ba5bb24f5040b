"""Half-precision models with float32 master weights: the original's algorithm."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from s2s_core.errors import UserError
from s2s_core.precision.half_copies import HalfCopies
from s2s_core.precision.loss_scale import LossScale
from s2s_core.precision.scaled import HalfName, ScaledPrecision
from s2s_core.strategies.deepspeed import ZeroStrategy


class MasterWeightsPrecision(ScaledPrecision):
    """Runs the model in fp16 or bf16 and trains float32 masters (Micikevicius et al., arXiv 1710.03740, section 3.1).

    Half-precision copies of the weights stand in for them while the model runs (see `HalfCopies`). After the backward
    pass the gradients are added to the masters' in float32, unscaled, regularised, clipped, and the masters stepped;
    the next pass begins with new copies. Several passes accumulate in float32. Outside the training, validation, test
    and prediction steps the model is the float32 model, so checkpoints and averages hold masters and a run goes on in
    any other precision.

    Norms stay in float32, and losses by autocast's rules; so do the modules named here. Unlike in OpenSeq2Seq an
    overflow is looked for before the regulariser, whose share is finite, and running statistics are restored with it.

    Args:
        dtype: of the model.
        loss_scale: see `ScaledPrecision`.
        float32_modules: patterns of modules to leave in float32, such as ``decoder`` or ``encoder.blocks.0*``.
    """

    def __init__(
        self, dtype: HalfName = "fp16", loss_scale: LossScale | None = None, float32_modules: list[str] | None = None
    ) -> None:
        super().__init__(dtype, loss_scale)
        # Lightning's type allows only its own names; it is shown, and not acted upon
        self.precision = cast(Literal["16-true", "bf16-true"], f"{dtype}-master")
        self.float32_modules = float32_modules or []
        self._copies: HalfCopies | None = None
        """None under ZeRO, which holds half-precision weights and float32 masters itself."""
        self._in_parallel = False

    @property
    def model_type(self) -> torch.dtype:
        return self.half

    def convert_module(self, module: nn.Module) -> nn.Module:
        self.teardown()
        super().convert_module(module)
        strategy = self.module.trainer.strategy
        if isinstance(strategy, ZeroStrategy):
            return module
        plain = isinstance(strategy, SingleDeviceStrategy | DDPStrategy)
        if not plain or isinstance(strategy, DeepSpeedStrategy):  # which is a DDPStrategy to Lightning
            name = type(strategy).__name__
            raise UserError(
                f"precision {self.precision}: expected one device, strategy ddp or ZeroStrategy, got {name}"
            )
        # before the copies are made: a module that moves takes along only the parameters that stand in it
        module.to(strategy.root_device)
        try:
            self._copies = HalfCopies(module, self.half, self.float32_modules)
        except ValueError as error:
            raise UserError(f"precision {self.precision}: {error}") from error
        self._in_parallel = isinstance(strategy, DDPStrategy)
        if self._in_parallel:
            # DDP reduces the gradients of the parameters that it is given now: copies, and so half the traffic
            self._copies.install()
        return module

    def connect(
        self, model: nn.Module, optimizers: list[Optimizer], lr_schedulers: list[Any]
    ) -> tuple[nn.Module, list[Optimizer], list[Any]]:
        if self._in_parallel:
            self._running.remove()
            for optimizer in optimizers:
                self._running.hand_over(optimizer)
            # DDP has given all processes the first one's copies; masters have more digits
            for master, _ in self._running.pairs:
                torch.distributed.broadcast(master.data, src=0)
        return super().connect(model, optimizers, lr_schedulers)

    @property
    def _running(self) -> HalfCopies:
        assert self._copies is not None, "the module is converted before it runs"
        return self._copies

    @contextmanager
    def forward_context(self) -> Generator[None, None, None]:
        if self._copies is None:
            with super().forward_context():
                yield
            return
        # at every pass: averages and checkpoints put other values into the masters without a trace
        self._running.refresh()
        with self._running.installed(), super().forward_context():
            yield

    def pre_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # type: ignore[override]
        if self._in_parallel and not module.trainer.fit_loop._should_accumulate():
            self._running.return_gradients()
        return super().pre_backward(tensor, module)

    def post_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # type: ignore[override]
        if self._copies is not None:
            self._copies.move_gradients()
        return super().post_backward(tensor, module)

    def teardown(self) -> None:
        super().teardown()
        if self._copies is not None:
            self._copies.release()
            self._copies = None
