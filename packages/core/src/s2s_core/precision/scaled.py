"""The step that all half precisions share: scale the loss, unscale the gradients, skip what overflows."""

# torch's multi-tensor functions have no public names
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.precision import Precision
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from s2s_core.errors import UserError
from s2s_core.optim.foreach import with_gradients
from s2s_core.precision.loss_scale import Backoff, LossScale
from s2s_core.precision.overflow import OverflowWatch, describe_overflow
from s2s_core.precision.running_statistics import RunningStatistics
from s2s_core.strategies.shards import largest_of_all

HalfName = Literal["fp16", "bf16"]
HALF_TYPES: dict[str, torch.dtype] = {"fp16": torch.float16, "bf16": torch.bfloat16}
HOPELESS = 200
"""Skipped steps in a row at the smallest scale after which a run ends: no step has taught it anything for so long."""

log = logging.getLogger(__name__)


class ScaledPrecision(Precision):
    """Base of the half precisions: autocast, a loss scale, and steps that are taken whole or not at all.

    A step that overflows changes nothing but the loss scale: not the weights, the optimizer, the running statistics or
    the number of steps, on which the learning rate and ``max_steps`` depend. Deciding so needs the largest gradient on
    the host, the only time that a step waits for the device; without a loss scale it never does.

    Args:
        dtype: the type of matrix products and of what flows between layers.
        loss_scale: the factor of the loss. If not given, `Backoff` for fp16; none for bf16, whose range is float32's.

    Raises:
        ValueError: for another type.
    """

    def __init__(self, dtype: HalfName, loss_scale: LossScale | None = None) -> None:
        if dtype not in HALF_TYPES:
            raise ValueError(f"dtype: expected fp16 or bf16, got {dtype!r}")
        self.half = HALF_TYPES[dtype]
        self.loss_scale = Backoff() if loss_scale is None and dtype == "fp16" else loss_scale
        self.skipped_steps = 0
        """In the whole training."""
        self.skipped_in_a_row = 0
        self._skipped_at_minimum = 0
        self._statistics = RunningStatistics()
        self._watch = OverflowWatch()
        self._between_steps = True

    @property
    def scale(self) -> float:
        """The factor of the next loss."""
        return 1.0 if self.loss_scale is None else self.loss_scale.scale

    @property
    def model_type(self) -> torch.dtype:
        """The type of the weights that the model runs with, for a strategy that holds them itself."""
        return torch.float32

    def convert_module(self, module: nn.Module) -> nn.Module:
        self.module = cast(LightningModule, module)
        self._between_steps = True
        return module

    @contextmanager
    def forward_context(self) -> Generator[None, None, None]:
        # weights are cast once a use: a cache would hold copies of all of them
        with torch.autocast(self.module.device.type, dtype=self.half, cache_enabled=False):
            yield

    @contextmanager
    def train_step_context(self) -> Generator[None, None, None]:
        if self._between_steps and self.loss_scale is not None:
            self._statistics.remember(self.module)
        self._between_steps = False
        with self.forward_context(), self._watch.watching(self.module):
            yield

    def pre_backward(self, tensor: Tensor, module: LightningModule) -> Tensor:  # type: ignore[override]
        return super().pre_backward(tensor if self.scale == 1.0 else tensor * self.scale, module)

    def optimizer_step(  # type: ignore[override]
        self, optimizer: Optimizer, model: LightningModule, closure: Callable[[], Any], **kwargs: Any
    ) -> Any:
        if isinstance(optimizer, LBFGS):
            raise UserError("optimizer: LBFGS evaluates the loss more than once a step; train it in precision 32-true")
        result = closure()
        self._between_steps = True
        if self.loss_scale is None:
            self._apply(optimizer, model, kwargs)
            return result
        largest = self._unscale(optimizer, self.loss_scale)
        if math.isfinite(largest):
            self._apply(optimizer, model, kwargs)
            self.skipped_in_a_row = self._skipped_at_minimum = 0
        else:
            self._skip(optimizer, model)
        self.loss_scale.update(largest)
        return result

    def _apply(self, optimizer: Optimizer, model: LightningModule, kwargs: dict[str, Any]) -> None:
        self._after_closure(model, optimizer)
        optimizer.step(**kwargs)

    def _gradients(self, optimizer: Optimizer) -> list[list[Tensor]]:
        parameters = with_gradients(cast("list[Tensor]", list(self.main_params(optimizer))))
        return [[cast(Tensor, parameter.grad) for parameter in same] for same in parameters]

    @torch.no_grad()
    def _unscale(self, optimizer: Optimizer, loss_scale: LossScale) -> float:
        """Divide the gradients by the scale; return the largest as far as `LossScale.update` wants to know it.

        If that is not finite the gradients are of no use.
        """
        gradients = self._gradients(optimizer)
        sizes: list[Tensor] = []
        if loss_scale.reads_sizes:
            sizes = [size for same in gradients for size in _extremes(same)]
        for same in gradients:
            sizes.append(_divide(same, loss_scale.scale))
        largest = 0.0
        if sizes:
            device = sizes[0].device
            largest = float(torch.stack([size.to(device, torch.float32) for size in sizes]).abs().max())
        masters = cast("list[Tensor]", list(self.main_params(optimizer)))
        return largest_of_all(masters, largest) / loss_scale.scale

    def _skip(self, optimizer: Optimizer, model: LightningModule) -> None:
        assert self.loss_scale is not None
        self.skipped_steps += 1
        self.skipped_in_a_row += 1
        if self.loss_scale.scale <= self.loss_scale.minimum:
            self._skipped_at_minimum += 1
            self._complain(model)
        self._statistics.restore()
        optimizer.zero_grad(set_to_none=True)
        _uncount_step(model.trainer)

    def _complain(self, model: LightningModule) -> None:
        """Say which layer overflows when no smaller scale is left to try: at first, and with what was seen after."""
        self._watch.arm()
        if self._skipped_at_minimum in (1, 2) or self._skipped_at_minimum % HOPELESS == 0:
            message = describe_overflow(model, self.scale, self._watch)
            if self._skipped_at_minimum >= HOPELESS:
                raise UserError(f"precision: {self._skipped_at_minimum} steps in a row skipped; {message}")
            log.warning("precision: step skipped; %s", message)

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"skipped_steps": self.skipped_steps}
        if self.loss_scale is not None:
            state["loss_scale"] = {"class": type(self.loss_scale).__name__, **self.loss_scale.state_dict()}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped_steps = state_dict["skipped_steps"]
        saved = state_dict.get("loss_scale")
        # another kind of scale has other figures; it finds its own way in a few steps
        if saved is not None and self.loss_scale is not None and saved["class"] == type(self.loss_scale).__name__:
            self.loss_scale.load_state_dict(saved)

    def teardown(self) -> None:
        self._statistics = RunningStatistics()
        self._watch = OverflowWatch()


def _divide(gradients: list[Tensor], scale: float) -> Tensor:
    """Divide in place and in one pass; returns infinity if a gradient was not finite, else 0."""
    found = gradients[0].new_zeros((), dtype=torch.float32)
    inverse = torch.full_like(found, 1.0 / scale)
    torch._amp_foreach_non_finite_check_and_unscale_(gradients, found, inverse)
    return torch.where(found > 0, math.inf, 0.0)


def _extremes(gradients: list[Tensor]) -> Iterable[Tensor]:
    """Numbers among which is the one of the largest absolute value; NaN if any is."""
    gradients = [gradient for gradient in gradients if gradient.numel()]
    if gradients and gradients[0].device.type != "cpu":
        return torch._foreach_norm(gradients, math.inf)
    # on the host torch's infinity norm takes fifteen times as long
    return [extreme for gradient in gradients for extreme in torch.aminmax(gradient)]


def _uncount_step(trainer: Trainer) -> None:
    """Take back the step that Lightning counts around the optimizer, whether or not it was one."""
    loop = trainer.fit_loop.epoch_loop
    if trainer.lightning_module.automatic_optimization:
        progress = loop.automatic_optimization.optim_progress.optimizer.step
    else:
        progress = loop.manual_optimization.optim_step_progress
    for counts in (progress.total, progress.current):
        counts.ready -= 1
        counts.completed -= 1
