"""The real frames of a padded batch in the order in which recurrent layers compute them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence


@dataclass(frozen=True)
class StepOrder:
    """Rows sorted by falling length; all frames of step 0, then of step 1, and so on, as in a ``PackedSequence``.

    Frames in this order are ``(frames, ...)``; nothing is computed for padding. A state has its rows sorted, too.
    """

    batch: int
    time: int
    batch_sizes: list[int]
    """Rows that are still active at each step."""
    rows: Tensor
    """``(batch,)``: which row of the batch is the longest, the second longest, ..."""
    frames: Tensor
    """``(frames,)``: where each frame lies in ``(batch * time)``."""

    @classmethod
    def of(cls, lengths: Tensor, time: int) -> StepOrder:
        """Order the frames of rows of ``lengths`` (batch,), each at least 1, in a batch of ``time`` frames.

        The lengths are read on the host, which waits for an accelerator once.
        """
        batch = len(lengths)
        places = torch.arange(batch * time, device=lengths.device).view(batch, time)
        packed = pack_padded_sequence(places, lengths.cpu(), batch_first=True, enforce_sorted=False)
        assert packed.sorted_indices is not None
        return cls(batch, time, packed.batch_sizes.tolist(), packed.sorted_indices, packed.data)

    def pack(self, padded: Tensor) -> Tensor:
        """``(batch, time, ...)`` to ``(frames, ...)``."""
        return padded.flatten(0, 1).index_select(0, self.frames)

    def unpack(self, data: Tensor) -> Tensor:
        """``(frames, feature)`` to ``(batch, time, feature)``, zero after each row's end."""
        padded = data.new_zeros(self.batch * self.time, data.shape[1]).index_copy(0, self.frames, data)
        return padded.view(self.batch, self.time, -1)

    def row_after_row(self, data: Tensor) -> Tensor:
        """``(frames, ...)`` in the order of the batch: all frames of its first row, then of its second."""
        return data.index_select(0, torch.argsort(self.frames))

    def sort(self, state: Tensor) -> Tensor:
        """``(layers, batch, size)`` with its rows by falling length."""
        return state.index_select(1, self.rows)

    def unsort(self, state: Tensor) -> Tensor:
        """The inverse of `sort`."""
        return state.index_select(1, torch.argsort(self.rows))

    def delayed(self, data: Tensor) -> Tensor:
        """Each row's frames one step later: zeros at its first step, and without its last frame."""
        offsets = accumulate(self.batch_sizes[:-1], initial=0)
        before = [torch.arange(o, o + n) for o, n in zip(offsets, self.batch_sizes[1:], strict=False)]
        first = data.new_zeros(self.batch_sizes[0], data.shape[1])
        if not before:
            return first
        return torch.cat((first, data.index_select(0, torch.cat(before).to(data.device))))
