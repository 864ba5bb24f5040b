"""Dropout (Srivastava et al. 2014), fast on the host."""

from __future__ import annotations

import ctypes
import functools
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
        dropped = _Dropout.apply(x, 1 - p, _seed())
        assert isinstance(dropped, Tensor)
        return dropped
    return F.dropout(x, p, training)


def relu_dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """``dropout(relu(x))``, the same numbers, that keeps its result alone for the backward pass.

    An element passes its gradient where the result is above 0: where it was positive, and not dropped. A layer that
    follows keeps that result as its own input, so that activation and mask take no memory of their own.

    Raises:
        ValueError: if ``p`` is outside [0, 1].
    """
    if not training or p == 0 or not x.requires_grad or torch.compiler.is_compiling():
        return dropout(F.relu(x), p, training)
    on_host = x.device.type == "cpu" and _suits(x, p)
    found = _ReluDropout.apply(x, p, _seed() if on_host else None)
    assert isinstance(found, Tensor)
    return found


class Dropout(nn.Dropout):
    """`dropout` as a module."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training)


def _seed() -> int:
    return int(torch.randint(2**63 - 1, ()))


def _suits(x: Tensor, p: float) -> bool:
    if x.numel() < FEWEST or x.dtype not in (torch.float32, torch.bfloat16) or not 0 < p < 1:
        return False
    return 0 < round((1 - p) * STEPS) < STEPS and x.is_contiguous() and _kernel() is not None


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float, seed: int) -> Tensor:
        ctx.share, ctx.seed = share, seed
        return _run("s2s_dropout", [x], share, seed)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        # the mask is symmetric, so that this can be differentiated in turn
        found = _Dropout.apply(grads[0].contiguous(), ctx.share, ctx.seed)
        assert isinstance(found, Tensor)
        return found, None, None


class _ReluDropout(torch.autograd.Function):
    """With a seed through the kernel, else torch's dropout."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int | None) -> Tensor:
        y = F.dropout(F.relu(x), p) if seed is None else _run("s2s_relu_dropout", [x], 1 - p, seed)
        ctx.save_for_backward(y)
        ctx.p, ctx.in_kernel = p, seed is not None
        return y

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        scale = 0.0 if ctx.p == 1 else 1 / (1 - ctx.p)
        if ctx.in_kernel and not torch.is_grad_enabled():
            return _run("s2s_relu_dropout_backward", [grads[0].contiguous(), y], scale), None, None
        return torch.ops.aten.threshold_backward(grads[0], y, 0) * scale, None, None


def _run(name: str, given: list[Tensor], *numbers: float) -> Tensor:
    """What a function of the kernel makes of contiguous tensors of one size."""
    kernel = _kernel()
    assert kernel is not None, "only reached where there is one"
    x, result = given[0], torch.empty_like(given[0])
    count, pointers = x.numel(), [tensor.data_ptr() for tensor in [*given, result]]
    threads = max(1, min(torch.get_num_threads(), count // PER_THREAD))
    getattr(kernel, name)(*pointers, count, int(x.dtype == torch.bfloat16), *numbers, threads)
    return result


@functools.cache
def _kernel() -> ctypes.CDLL | None:
    library = load_library(SOURCE)
    if library is None:
        return None
    pointer, integer, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    for function in (library.s2s_dropout, library.s2s_relu_dropout):
        function.argtypes = [pointer, pointer, integer, integer, number, ctypes.c_uint64, integer]
        function.restype = None
    library.s2s_relu_dropout_backward.argtypes = [pointer, pointer, pointer, integer, integer, number, integer]
    library.s2s_relu_dropout_backward.restype = None
    return library
