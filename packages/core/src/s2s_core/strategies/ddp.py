"""Data parallelism with half the traffic."""

from __future__ import annotations

from typing import Literal

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook, fp16_compress_hook
from torch.nn.parallel import DistributedDataParallel

_HOOKS = {"bf16": bf16_compress_hook, "fp16": fp16_compress_hook}


class HalfGradientsDDP(DDPStrategy):
    """DDP that sends gradients in half precision, over NCCL or Gloo, and keeps them as they were.

    Each gradient is cast, divided by the number of processes, summed and cast back. For float32 and mixed precision:
    under master weights gradients are half already. fp16 holds gradients only as far as a loss scale keeps them in its
    range. Lightning's own ``ddp_comm_hook`` does the same on GPUs, and nothing on CPU processes.

    Args:
        dtype: in which gradients travel.
        find_unused_parameters: see `torch.nn.parallel.DistributedDataParallel`.
        static_graph: likewise.

    Raises:
        ValueError: for another type.
    """

    def __init__(
        self, dtype: Literal["bf16", "fp16"] = "bf16", find_unused_parameters: bool = False, static_graph: bool = False
    ) -> None:
        if dtype not in _HOOKS:
            raise ValueError(f"dtype: expected bf16 or fp16, got {dtype!r}")
        super().__init__(find_unused_parameters=find_unused_parameters, static_graph=static_graph)
        self.dtype = dtype

    def configure_ddp(self) -> None:
        super().configure_ddp()
        assert isinstance(self.model, DistributedDataParallel)
        self.model.register_comm_hook(torch.distributed.group.WORLD, _HOOKS[self.dtype])
