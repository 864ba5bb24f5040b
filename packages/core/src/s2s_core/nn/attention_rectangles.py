"""Attention of a packed batch through rectangles of queries by keys, a row a sequence.

Sequences of like length share a rectangle, so that little padding is computed, and only here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s_core.nn.mask import length_mask

WASTE = 1 << 14
"""Padded scores (a query by a key) of a head up to which sequences share a rectangle: about what another one costs."""


class Rectangles:
    """Where the sequences of a packed batch attend.

    Args:
        lengths: of the sequences that attend.
        seen: lengths of those attended to.
        causal: whether a position sees itself and earlier ones only.
    """

    def __init__(self, lengths: list[int], seen: list[int], causal: bool) -> None:
        self.causal = causal
        groups = _groups(lengths, seen)
        self._masks = [None if causal else _mask(group, seen) for group in groups]
        self._queries = _Places(lengths, groups)
        self._keys = self._queries if lengths is seen else _Places(seen, groups)

    def attend_within(self, projected: Tensor, heads: int, dropout: float) -> Tensor:
        """Attend from and to the same positions: packed queries, keys and values ``(positions, 3 * features)``."""
        rows = self._queries.spread(projected)
        operands = [split_heads(part, 3 * heads).chunk(3, dim=1) for part in self._queries.rectangles(rows)]
        return self._attend(operands, dropout)

    def attend_across(self, queries: Tensor, projected: Tensor, heads: int, dropout: float) -> Tensor:
        """Attend from packed queries ``(positions, features)`` to keys and values ``(positions, 2 * features)``."""
        ours = self._queries.rectangles(self._queries.spread(queries))
        theirs = self._keys.rectangles(self._keys.spread(projected))
        operands = [
            (split_heads(query, heads), *split_heads(memory, 2 * heads).chunk(2, dim=1))
            for query, memory in zip(ours, theirs, strict=True)
        ]
        return self._attend(operands, dropout)

    def _attend(self, operands: Sequence[Sequence[Tensor]], dropout: float) -> Tensor:
        attended = [
            F.scaled_dot_product_attention(query, key, value, mask, dropout, self.causal)
            for (query, key, value), mask in zip(operands, self._masks, strict=True)
        ]
        rows = torch.cat([part.transpose(1, 2).flatten(2).flatten(0, 1) for part in attended])
        return self._queries.pack(rows)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """``(rows, time, heads * size)`` to ``(rows, heads, time, size)``."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def visible(mask: Tensor) -> Tensor:
    """``(batch, 1, 1, time)``. An empty sequence shows its first position, so that no softmax is over nothing."""
    first = torch.arange(mask.shape[1], device=mask.device) == 0
    return (mask | first)[:, None, None]


def _groups(lengths: list[int], seen: list[int]) -> list[list[int]]:
    """Sort sequences by length, and cut where a longer group would compute more padding than a new one costs."""
    order = sorted(range(len(lengths)), key=lambda row: (seen[row], lengths[row]), reverse=True)
    groups: list[list[int]] = []
    wasted = WASTE
    for row in order:
        if wasted >= WASTE:
            groups.append([])
            wasted = 0
        groups[-1].append(row)
        first = groups[-1][0]
        wasted += lengths[first] * seen[first] - lengths[row] * seen[row]
    return groups


def _mask(group: list[int], seen: list[int]) -> Tensor | None:
    """Which keys of a rectangle are real; None if all are."""
    lengths = torch.tensor([seen[row] for row in group])
    longest = max(1, int(lengths.max()))
    return None if int(lengths.min()) == longest else visible(length_mask(lengths, longest))


class _Places:
    """Where the positions of a packed batch stand in rectangles, a row a sequence, that lie one after the other."""

    def __init__(self, lengths: list[int], groups: list[list[int]]) -> None:
        length = torch.tensor(lengths)
        start = length.cumsum(0) - length
        sources, slots = [], torch.empty(len(lengths), dtype=torch.int64)
        self._shapes: list[tuple[int, int]] = []
        used = 0
        for group in groups:
            rows, width = torch.tensor(group), max(1, *(lengths[row] for row in group))
            steps = torch.arange(width)[None]
            sources.append(torch.where(steps < length[rows, None], start[rows, None] + steps, -1).flatten())
            slots[rows] = used + torch.arange(len(group)) * width
            used += len(group) * width
            self._shapes.append((len(group), width))
        source = torch.cat(sources)
        self._empty = (source < 0).nonzero()[:, 0]
        self._source = source.clamp_(min=0)
        within = torch.arange(sum(lengths)) - start.repeat_interleave(length)
        self._slot = slots.repeat_interleave(length) + within

    def spread(self, x: Tensor) -> Tensor:
        """Bring packed rows ``(positions, features)`` to their places; the others are zero."""
        return _Spread.apply(x, self._source, self._empty, self._slot)

    def pack(self, x: Tensor) -> Tensor:
        """The inverse of `spread`."""
        return _Pack.apply(x, self._source, self._empty, self._slot)

    def rectangles(self, rows: Tensor) -> list[Tensor]:
        """View spread rows as one ``(sequences, time, features)`` a group."""
        parts = rows.split([sequences * width for sequences, width in self._shapes])
        return [part.view(*shape, rows.shape[1]) for part, shape in zip(parts, self._shapes, strict=True)]


def _spread(x: Tensor, source: Tensor, empty: Tensor) -> Tensor:
    return x.index_select(0, source).index_fill_(0, empty, 0.0)


class _Spread(torch.autograd.Function):
    """Each of two rearrangements is the other's gradient: autograd would add up rows one by one instead."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, empty: Tensor, slot: Tensor) -> Tensor:
        ctx.save_for_backward(slot)
        return _spread(x, source, empty)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor, None, None, None]:
        return grads[0].index_select(0, ctx.saved_tensors[0]), None, None, None


class _Pack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, empty: Tensor, slot: Tensor) -> Tensor:
        ctx.save_for_backward(source, empty)
        return x.index_select(0, slot)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor, None, None, None]:
        return _spread(grads[0], *ctx.saved_tensors), None, None, None
