"""Which positions attend to which, in batches packed or padded.

A pattern is made once a batch and serves every layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property, partial

from torch import Tensor
from torch.nn import functional as F

from s2s_core.nn.attention_rectangles import Rectangles, split_heads, visible
from s2s_core.nn.frames import FrameLayout, PackedFrames, PaddedFrames
from s2s_core.nn.packed_attention import Starts, attend_packed


class Pattern(ABC):
    """Who attends to whom. Tensors are ``(rows, time, features)`` in the layouts that the pattern is of."""

    @abstractmethod
    def attend_within(self, projected: Tensor, heads: int, dropout: float) -> Tensor:
        """Attend from and to the same positions.

        Args:
            projected: queries, keys and values side by side, ``3 * features`` of them.
            heads: among which each third's features are shared out.
            dropout: of attention weights.
        """

    @abstractmethod
    def attend_across(self, queries: Tensor, projected: Tensor, heads: int, dropout: float) -> Tensor:
        """Attend from one sequence to another.

        Args:
            queries: ``features`` of them a position.
            projected: keys and values side by side, ``2 * features`` of them.
            heads: among which the features are shared out.
            dropout: of attention weights.
        """


def pattern_of(layout: FrameLayout, memory: FrameLayout | None = None, causal: bool = False) -> Pattern:
    """Return the pattern of positions in ``layout`` that attend to those in ``memory``, or to their own.

    Args:
        layout: of those that attend.
        memory: of those attended to, if others.
        causal: whether a position sees itself and earlier ones only.
    """
    seen = layout if memory is None else memory
    if isinstance(layout, PackedFrames) and isinstance(seen, PackedFrames):
        return PackedPattern(layout.lengths, seen.lengths, causal)
    if isinstance(layout, PaddedFrames) and isinstance(seen, PaddedFrames):
        return PaddedPattern(seen, causal)
    raise TypeError(f"attention from {type(layout).__name__} to {type(seen).__name__}")


class PaddedPattern(Pattern):
    """One row a sequence. Reads nothing back from the device."""

    def __init__(self, seen: PaddedFrames, causal: bool) -> None:
        self.causal = causal
        # where padding comes last, the real positions of a causal pattern do not see it anyway
        self.mask = None if causal else visible(seen.real_frames(seen.lengths.device)[..., 0])

    def attend_within(self, projected: Tensor, heads: int, dropout: float) -> Tensor:
        return self._attend(split_heads(projected, 3 * heads).chunk(3, dim=1), dropout)

    def attend_across(self, queries: Tensor, projected: Tensor, heads: int, dropout: float) -> Tensor:
        return self._attend((split_heads(queries, heads), *split_heads(projected, 2 * heads).chunk(2, dim=1)), dropout)

    def _attend(self, operands: Sequence[Tensor], dropout: float) -> Tensor:
        query, key, value = operands
        attended = F.scaled_dot_product_attention(query, key, value, self.mask, dropout, self.causal)
        return attended.transpose(1, 2).flatten(2)


class PackedPattern(Pattern):
    """All sequences end to end: through the compiled kernel where it serves, or else through rectangles.

    Args:
        lengths: of the sequences that attend.
        seen: lengths of those attended to.
        causal: whether a position sees itself and earlier ones only.
    """

    def __init__(self, lengths: list[int], seen: list[int], causal: bool) -> None:
        self._starts = Starts(lengths, seen, causal)
        self._make_rectangles = partial(Rectangles, lengths, seen, causal)

    @cached_property
    def _rectangles(self) -> Rectangles:
        return self._make_rectangles()

    def attend_within(self, projected: Tensor, heads: int, dropout: float) -> Tensor:
        if self._starts.suits(projected, projected.shape[2] // (3 * heads)):
            return attend_packed(projected[0], None, self._starts, heads, dropout)[None]
        return self._rectangles.attend_within(projected[0], heads, dropout)[None]

    def attend_across(self, queries: Tensor, projected: Tensor, heads: int, dropout: float) -> Tensor:
        if self._starts.suits(queries, queries.shape[2] // heads) and queries.dtype == projected.dtype:
            return attend_packed(queries[0], projected[0], self._starts, heads, dropout)[None]
        return self._rectangles.attend_across(queries[0], projected[0], heads, dropout)[None]
