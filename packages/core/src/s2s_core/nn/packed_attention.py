"""Attention of a packed batch on the host by a kernel compiled for it: nothing padded, no scores in memory."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from s2s_core.nn.native import load_library

SOURCE = Path(__file__).with_name("packed_attention.cpp")
LANES = 16
"""Heads must be multiples of this in size."""
MAX_SCORES = 1 << 20
"""Of a head of a sentence: above this they leave the cache, and other ways are faster."""

_INTEGERS = (
    *("sentences", "heads", "size", "causal", "bfloat16", "threads", "seed"),
    *("query_stride", "key_stride", "out_stride", "grad_query_stride", "grad_key_stride"),
)
_FLOATS = ("scale", "dropout")
_POINTERS = (
    *("query_starts", "key_starts", "query", "key", "value", "out", "normaliser"),
    *("grad_out", "grad_query", "grad_key", "grad_value"),
)


class _Arguments(ctypes.Structure):
    """``Attention`` in ``packed_attention.cpp``."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in _INTEGERS),
        *((name, ctypes.c_double) for name in _FLOATS),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    ]


class Starts:
    """Where the sentences of a packed batch begin, for those that attend and those attended to.

    Args:
        lengths: of the sequences that attend.
        seen: lengths of those attended to.
        causal: whether a position sees itself and earlier ones only.
    """

    def __init__(self, lengths: list[int], seen: list[int], causal: bool) -> None:
        self.queries, self.keys = (torch.tensor([0, *side]).cumsum(0) for side in (lengths, seen))
        self.causal = causal
        self.scores = max(n * m for n, m in zip(lengths, seen, strict=True))

    def suits(self, x: Tensor, head_size: int) -> bool:
        """Whether `attend_packed` takes ``x`` with heads of this size, on this machine."""
        shape = head_size % LANES == 0 and self.scores <= MAX_SCORES
        kind = x.dtype in (torch.float32, torch.bfloat16) and x.device.type == "cpu"
        return shape and kind and load_library(SOURCE) is not None


def attend_packed(queries: Tensor, memory: Tensor | None, starts: Starts, heads: int, dropout: float) -> Tensor:
    """Attend within each sentence of a packed batch, or from each to its memory.

    Args:
        queries: ``(positions, features)``; without a memory queries, keys and values side by side.
        memory: keys and values side by side, ``(positions, 2 * features)``.
        starts: of the sentences.
        heads: among which the features are shared out.
        dropout: of attention weights; drawn from torch's generator.

    Returns:
        ``(positions, features)``.
    """
    seed = int(torch.randint(1 << 62, ())) if dropout > 0 else 0
    attended = _PackedAttention.apply(queries, memory, starts, heads, dropout, seed)
    assert isinstance(attended, Tensor)
    return attended


class _PackedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, memory: Tensor | None, starts: Starts, heads: int, dropout: float, seed: int
    ) -> Tensor:
        queries, memory = queries.contiguous(), None if memory is None else memory.contiguous()
        features = queries.shape[1] // (3 if memory is None else 1)
        out = queries.new_empty(len(queries), features)
        normaliser = torch.empty(len(queries), heads)
        ctx.save_for_backward(queries, memory, normaliser)
        ctx.rest = starts, heads, dropout, seed
        _run(_arguments(queries, memory, normaliser, out, *ctx.rest))
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        queries, memory, normaliser = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_queries = torch.empty_like(queries)
        grad_memory = None if memory is None else torch.empty_like(memory)
        arguments = _arguments(queries, memory, normaliser, grad, *ctx.rest)
        arguments.grad_out, arguments.out = grad.data_ptr(), None
        query, keys, values = _thirds(grad_queries, grad_memory)
        arguments.grad_query, arguments.grad_query_stride = query.data_ptr(), query.stride(0)
        arguments.grad_key, arguments.grad_value = keys.data_ptr(), values.data_ptr()
        arguments.grad_key_stride = keys.stride(0)
        _run(arguments)
        return grad_queries, grad_memory, None, None, None, None


def _thirds(queries: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    if memory is None:
        query, keys, values = queries.chunk(3, dim=1)
    else:
        query, (keys, values) = queries, memory.chunk(2, dim=1)
    return query, keys, values


def _arguments(
    queries: Tensor,
    memory: Tensor | None,
    normaliser: Tensor,
    out: Tensor,
    starts: Starts,
    heads: int,
    dropout: float,
    seed: int,
) -> _Arguments:
    query, keys, values = _thirds(queries, memory)
    size = out.shape[1] // heads
    return _Arguments(
        sentences=len(starts.queries) - 1,
        heads=heads,
        size=size,
        causal=int(starts.causal),
        bfloat16=int(queries.dtype == torch.bfloat16),
        threads=torch.get_num_threads(),
        seed=seed,
        query_stride=query.stride(0),
        key_stride=keys.stride(0),
        out_stride=out.stride(0),
        scale=size**-0.5,
        dropout=dropout,
        query_starts=starts.queries.data_ptr(),
        key_starts=starts.keys.data_ptr(),
        query=query.data_ptr(),
        key=keys.data_ptr(),
        value=values.data_ptr(),
        out=out.data_ptr(),
        normaliser=normaliser.data_ptr(),
    )


def _run(arguments: _Arguments) -> None:
    library = load_library(SOURCE)
    assert library is not None
    library.s2s_packed_attention(ctypes.byref(arguments))
