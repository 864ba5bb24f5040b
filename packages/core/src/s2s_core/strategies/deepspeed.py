"""DeepSpeed ZeRO: optimizer states, gradients and weights cut among the ranks."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from s2s_core.errors import UserError
from s2s_core.precision.half_copies import keep_norms_in_float32
from s2s_core.strategies.partitioned import PartitionedOptimizer
from s2s_core.strategies.zero_weights import ZeroWeights

Stage = Literal[1, 2, 3]
ONE_GROUP = 10**12
"""DeepSpeed's stage 3 updates this many numbers at a time: more than a rank ever holds."""


class ZeroStrategy(DDPStrategy):
    """ZeRO (Rajbhandari et al., arXiv 1910.02054) by DeepSpeed, on GPUs and on CPU processes.

    Stage 1 cuts the optimizer's states and float32 masters among the ranks, stage 2 the gradients too, stage 3 the
    model's weights as well. DeepSpeed does the cutting and the traffic; gradient rules, loss scales, optimizers and
    checkpoints are this toolkit's, with the same results as under DDP: any optimizer, clipping by norm or value, LARC,
    the regulariser, accumulation by true counts. A checkpoint is one plain file of float32 weights and whole optimizer
    states, gathered by the first rank on its host: it goes on under any strategy, precision and number of processes.

    Precisions: float32; mixed by `AutocastPrecision`; `MasterWeightsPrecision`, where DeepSpeed's half-precision
    weights are the copies and its float32 partition the masters. Norms then compute in float32, from weights rounded to
    half. One optimizer with one group of parameters. Weight averaging needs stage 1 or 2 with float32 weights.

    Args:
        stage: 1, 2 or 3.
        offload_optimizer: keep optimizer states and masters in the host's memory, and step there.
        offload_parameters: keep the weights there too, between uses (stage 3).
        bucket_numbers: gradients are sent when so many have come together.
        timeout_s: after which a silent rank is given up.

    Raises:
        UserError: if DeepSpeed is not installed.
        ValueError: for another stage, or weights offloaded in one that does not cut them.
    """

    def __init__(
        self,
        stage: Stage = 2,
        offload_optimizer: bool = False,
        offload_parameters: bool = False,
        bucket_numbers: int = 200_000_000,
        timeout_s: float = 1800.0,
    ) -> None:
        if stage not in (1, 2, 3):
            raise ValueError(f"stage: expected 1, 2 or 3, got {stage}")
        if offload_parameters and stage != 3:
            raise ValueError(f"offload_parameters: stage {stage} does not cut the weights; expected stage 3")
        if importlib.util.find_spec("deepspeed") is None:
            raise UserError("strategy ZeRO needs DeepSpeed: pip install 's2s-core[deepspeed]'")
        super().__init__(timeout=timedelta(seconds=timeout_s))
        self.stage = stage
        self.offload_optimizer = offload_optimizer
        self.offload_parameters = offload_parameters
        self.bucket_numbers = bucket_numbers
        self.owns_masters = True
        self._engine: Any = None
        self._partitioned: PartitionedOptimizer | None = None
        self._weights: ZeroWeights | None = None

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        return True

    def setup_environment(self) -> None:
        _import_for(self.root_device.type)
        super().setup_environment()

    def model_to_device(self) -> None:
        # in training DeepSpeed moves the model itself, in stage 3 piece by piece
        if self._state_fn() != TrainerFn.FITTING:
            super().model_to_device()

    def configure_ddp(self) -> None:
        """Nothing: DeepSpeed wraps the model once there is an optimizer."""

    def setup_optimizers(self, trainer: Trainer) -> None:
        super().setup_optimizers(trainer)
        if len(self.optimizers) != 1:
            raise UserError(f"ZeRO: expected one optimizer, got {len(self.optimizers)}")
        self._check_averaging(trainer)
        module = self._module
        names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
        self._partitioned = PartitionedOptimizer(self.optimizers[0], names)
        self._initialize(module, self._partitioned, trainer.accumulate_grad_batches)

    def _initialize(self, module: LightningModule, partitioned: PartitionedOptimizer, accumulated: int) -> None:
        import deepspeed

        half: torch.dtype = getattr(self.precision_plugin, "model_type", torch.float32)
        buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
        frozen = {n: p.detach().cpu().clone() for n, p in module.named_parameters() if not p.requires_grad}
        self._engine, zero, _, _ = deepspeed.initialize(
            model=module, optimizer=partitioned, config=self._config(half, accumulated), dist_init_required=False
        )
        for name, buffer in buffers.items():  # DeepSpeed has made them half too
            owner, _, own_name = name.rpartition(".")
            module.get_submodule(owner)._buffers[own_name] = buffer.to(self.root_device)
        partitioned.adopt(zero, self.stage, self.global_rank)
        if half != torch.float32:
            keep_norms_in_float32(module, getattr(self.precision_plugin, "float32_modules", []))
        self._weights = ZeroWeights(module, zero, self.stage, partitioned.shards, frozen)
        self.model = self._engine

    def _config(self, half: torch.dtype, accumulated: int) -> dict[str, Any]:
        zero: dict[str, Any] = {
            "stage": self.stage,
            "reduce_bucket_size": self.bucket_numbers,
            "allgather_bucket_size": self.bucket_numbers,
        }
        if self.stage == 3:
            zero["sub_group_size"] = ONE_GROUP
        if self.offload_optimizer:
            zero["offload_optimizer"] = {"device": "cpu"}
        if self.offload_parameters:
            zero["offload_param"] = {"device": "cpu"}
        return {
            "train_micro_batch_size_per_gpu": 1,  # only shown
            "gradient_accumulation_steps": accumulated,
            "gradient_clipping": 0.0,
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "zero_optimization": zero,
            "bf16": {"enabled": half == torch.bfloat16},
            "fp16": {"enabled": half == torch.float16, "loss_scale": 1.0},
        }

    def _check_averaging(self, trainer: Trainer) -> None:
        half = getattr(self.precision_plugin, "model_type", torch.float32) != torch.float32
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging) and (self.stage == 3 or half):
                raise UserError(
                    f"ZeRO stage {self.stage}, {self.precision_plugin.precision}: callback {type(callback).__name__} "
                    "averages whole float32 weights; take stage 1 or 2 without master weights, or leave it out"
                )

    @contextmanager
    def block_backward_sync(self) -> Generator[None, None, None]:
        yield  # `backward` tells DeepSpeed which backward pass is a step's last

    def backward(self, closure_loss: Tensor, optimizer: Optimizer | None, *args: Any, **kwargs: Any) -> Tensor:
        loss = self.precision_plugin.pre_backward(closure_loss, self._module)
        self._engine.set_gradient_accumulation_boundary(not self._module.trainer.fit_loop._should_accumulate())
        self._engine.backward(loss, scale_wrt_gas=False)
        return self.precision_plugin.post_backward(loss, self._module)

    def optimizer_step(self, optimizer: Optimizer, closure: Callable[[], Any], model: Any = None, **kwargs: Any) -> Any:
        partitioned = self._known_partition
        result = closure()
        # once DeepSpeed has put together the gradients, the precision takes the step as on one device
        partitioned.finish_with(
            lambda: self.precision_plugin.optimizer_step(
                partitioned.real,
                model=self._module,
                closure=lambda: result,
                **kwargs,
            )
        )
        self._engine.step()
        if not partitioned.finished:
            partitioned.overflowed()
        return result

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return super().lightning_module_state_dict() if self._weights is None else self._weights.gather()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        state = self._known_partition.whole_state()
        return state if self.is_global_zero else {}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        if self._weights is None:
            super().load_model_state_dict(checkpoint, strict)
        else:
            self._weights.scatter(checkpoint["state_dict"], strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        self._known_partition.load_whole_state(checkpoint["optimizer_states"][0])

    def teardown(self) -> None:
        if self._engine is not None:
            self._engine.destroy()
            self.model, self._engine, self._weights, self._partitioned = self._module, None, None, None
        super().teardown()

    @property
    def _module(self) -> LightningModule:
        assert self.lightning_module is not None
        return self.lightning_module

    @property
    def _known_partition(self) -> PartitionedOptimizer:
        assert self._partitioned is not None, "ZeRO has cut nothing before the fit begins"
        return self._partitioned

    def _state_fn(self) -> TrainerFn | None:
        return self._module.trainer.state.fn


def _import_for(device: str) -> None:
    """Import DeepSpeed for a kind of device: it decides on one at once, by an environment variable."""
    if device == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed
    from deepspeed.accelerator import get_accelerator

    deepspeed.utils.logging.logger.setLevel(logging.ERROR)
    accelerator: Any = get_accelerator()
    found = accelerator.device_name()
    if found.partition(":")[0] != device:
        raise UserError(
            f"ZeRO on {device}: DeepSpeed has chosen {found}; set the environment's DS_ACCELERATOR={device}"
        )
    if device == "cpu":
        # for inference on one machine, and a minute to compile
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        # torch emulates it where the processor has no instructions for it: slow, and good enough for tests
        accelerator.is_fp16_supported = lambda: True
