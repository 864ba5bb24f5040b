"""Dropout (Srivastava et al. 2014), fast on the host."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.native import load_library

SOURCE = Path(__file__).with_name("dropout.cpp")
STEPS = 65536
"""The kernel's probabilities are multiples of one in so many."""
FEWEST = 8192
"""Fewer elements are torch's: a call costs more than it saves."""
PER_THREAD = 16384


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero elements with probability ``p`` and scale the others so that the mean stays; outside training nothing.

    On the host, dense float32 and bfloat16 tensors go through a kernel compiled for it, which draws and applies the
    mask in one pass and draws the same again in the backward pass: an order of magnitude faster than torch's random
    numbers there, and no mask is kept. Its seed comes from torch's default generator. It drops
    with ``p`` rounded to a multiple of 1 / 65536; an element that is dropped is zero whatever it was, where torch makes
    a NaN of one that is infinite. Elsewhere it is `torch.nn.functional.dropout`.

    Raises:
        ValueError: if ``p`` is outside [0, 1].
    """
    if training and x.device.type == "cpu" and not torch.compiler.is_compiling() and _suits(x, p):
        seed = int(torch.randint(2**63 - 1, ()))
        dropped = _Dropout.apply(x, 1 - p, seed)
        assert isinstance(dropped, Tensor)
        return dropped
    return F.dropout(x, p, training)


class Dropout(nn.Dropout):
    """`dropout` as a module."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training)


def _suits(x: Tensor, p: float) -> bool:
    if x.numel() < FEWEST or x.dtype not in (torch.float32, torch.bfloat16) or not 0 < p < 1:
        return False
    return 0 < round((1 - p) * STEPS) < STEPS and x.is_contiguous() and _kernel() is not None


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float, seed: int) -> Tensor:
        ctx.share, ctx.seed = share, seed
        kernel = _kernel()
        assert kernel is not None, "only reached where there is one"
        y, count = torch.empty_like(x), x.numel()
        threads = max(1, min(torch.get_num_threads(), count // PER_THREAD))
        kernel(x.data_ptr(), y.data_ptr(), count, int(x.dtype == torch.bfloat16), share, seed, threads)
        return y

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        # the mask is symmetric, so that this can be differentiated in turn
        found = _Dropout.apply(grads[0].contiguous(), ctx.share, ctx.seed)
        assert isinstance(found, Tensor)
        return found, None, None


@functools.cache
def _kernel() -> Callable[..., None] | None:
    library = load_library(SOURCE)
    if library is None:
        return None
    kernel = library.s2s_dropout
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    kernel.argtypes = [pointer, pointer, integer, integer, ctypes.c_double, ctypes.c_uint64, integer]
    kernel.restype = None
    return kernel
