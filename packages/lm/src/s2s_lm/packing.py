"""Rows of different lengths as one sequence of frames without padding, in the order in which recurrent layers step."""

from __future__ import annotations

import torch
from torch import Tensor


class Packing:
    """Where each frame of ``(batch, time)`` lies among the packed frames of a batch.

    Packed means what it means in ``torch.nn.utils.rnn``: rows by falling length, all active rows of step 0, then of
    step 1, and so on. Where every row is full this is a transposition, and nothing is indexed.

    Args:
        batch, time: of the padded tensors.
        lengths: real frames of each row; None if all rows are full.
        device: where the frames are.
    """

    def __init__(self, batch: int, time: int, lengths: list[int] | None, device: torch.device) -> None:
        self.batch, self.time = batch, time
        self.full = lengths is None or (batch > 0 and min(lengths) == time)
        self.batch_sizes: list[int]
        self.rows: Tensor | None = None
        """``(frames,)``, the row of each frame in the order of `order`; None where full."""
        self.order: Tensor | None = None
        """``(batch,)``: rows by falling length; None where full."""
        if self.full or lengths is None:
            self.batch_sizes = [batch] * time
            return
        counts = torch.tensor(lengths)
        order = torch.argsort(counts, descending=True, stable=True)
        active = torch.arange(time)[:, None] < counts[order][None, :]
        self.batch_sizes = [n for n in active.sum(1).tolist() if n]
        steps, places = active.nonzero(as_tuple=True)
        self.rows = places.to(device)
        self.order = order.to(device)
        self._flat = (order[places] * time + steps).to(device)

    def pack(self, padded: Tensor) -> Tensor:
        """``(batch, time, ...)`` to ``(frames, ...)``."""
        if self.rows is None:
            return padded.transpose(0, 1).flatten(0, 1)
        return padded.flatten(0, 1)[self._flat]

    def unpack(self, frames: Tensor) -> Tensor:
        """``(frames, ...)`` to ``(batch, time, ...)``, zero after each row's end."""
        if self.rows is None:
            return frames.unflatten(0, (self.time, self.batch)).transpose(0, 1)
        padded = frames.new_zeros(self.batch * self.time, *frames.shape[1:])
        return padded.index_copy(0, self._flat, frames).unflatten(0, (self.batch, self.time))

    def sort(self, rows: Tensor) -> Tensor:
        """``(batch, ...)`` in the order of the frames."""
        return rows if self.order is None else rows.index_select(0, self.order)

    def unsort(self, rows: Tensor) -> Tensor:
        """What `sort` did, undone."""
        return rows if self.order is None else torch.empty_like(rows).index_copy(0, self.order, rows)

    def scale(self, frames: Tensor, factors: Tensor) -> Tensor:
        """Multiply the frames ``(frames, features)`` of each row by its ``factors`` (batch, features)."""
        if self.rows is None:
            return (frames.view(self.time, self.batch, -1) * factors).flatten(0, 1)
        return frames * factors[self.rows]
