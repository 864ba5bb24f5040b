"""The real frames of a padded batch, row after row, and the neighbours that a convolution sees of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from s2s_core.nn.mask import length_mask


@dataclass(frozen=True)
class RowOrder:
    """All frames of the first row, then of the second: what is neither computed nor stored is padding.

    Frames in this order are ``(frames, ...)``.
    """

    batch: int
    time: int
    frames: Tensor
    """``(frames,)``: where each lies in ``(batch * time)``."""
    before: Tensor
    """``(frames,)``: how many frames its row has before it."""
    after: Tensor
    """``(frames,)``: and how many after it."""

    @classmethod
    def of(cls, lengths: Tensor, time: int) -> RowOrder:
        """Order the frames of rows of ``lengths`` (batch,) in a batch of ``time`` frames."""
        frames = length_mask(lengths, time).flatten().nonzero().squeeze(1)
        before = frames % time
        return cls(len(lengths), time, frames, before, lengths[frames // time] - 1 - before)

    def pack(self, padded: Tensor) -> Tensor:
        """``(batch, time, ...)`` to ``(frames, ...)``."""
        return padded.flatten(0, 1).index_select(0, self.frames)

    def unpack(self, data: Tensor) -> Tensor:
        """``(frames, feature)`` to ``(batch, time, feature)``, zero after each row's end."""
        padded = data.new_zeros(self.batch * self.time, data.shape[1]).index_copy(0, self.frames, data)
        return padded.view(self.batch, self.time, -1)

    def windows(self, data: Tensor, first: int, last: int) -> Tensor:
        """The frames from ``first`` to ``last`` places after each, zeros beyond its row, side by side.

        ``(frames, feature)`` to ``(frames, (last - first + 1) * feature)``; a causal convolution of three taps sees
        from -2 to 0.
        """
        if first == last == 0:
            return data
        found = _Windows.apply(data, self, first, last)
        assert isinstance(found, Tensor)
        return found

    def neighbour(self, places: int) -> Tensor:
        """Each frame's neighbour that many places after it; one more than there are frames where there is none."""
        count = len(self.frames)
        own = torch.arange(count, device=self.frames.device)
        exists = (places >= -self.before) & (places <= self.after)
        return torch.where(exists, own + places, count)


class _Windows(torch.autograd.Function):
    """Gathers in both directions: autograd's own gradient of a gather adds row by row, slowly."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, order: RowOrder, first: int, last: int) -> Tensor:
        ctx.settings = order, first, last
        padded = torch.cat((data, data.new_zeros(1, data.shape[1])))
        places = torch.stack([order.neighbour(j) for j in range(first, last + 1)], dim=1)
        return padded.index_select(0, places.flatten()).view(len(data), -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        order, first, last = ctx.settings
        taps = grads[0].chunk(last - first + 1, dim=1)
        total = torch.zeros_like(taps[0])
        for places, tap in zip(range(first, last + 1), taps, strict=True):
            padded = torch.cat((tap, tap.new_zeros(1, tap.shape[1])))
            total += padded.index_select(0, order.neighbour(-places))
        return total, None, None, None
