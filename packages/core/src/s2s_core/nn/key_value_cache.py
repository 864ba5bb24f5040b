"""What self-attention keeps from step to step, for beams of hypotheses that share most of their past."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GROWTH = 16
"""Steps for which a cache makes room at a time."""


@dataclass
class _Buffer:
    """Room for keys and values: ``(2, sentences, heads, capacity, head size)``, and how many slots are written."""

    slots: Tensor
    written: int


class Cache:
    """The keys and values of the positions so far. Never changes; a step returns a new one.

    Every hypothesis of a sentence writes its position into a slot of its own, and all of them attend to all slots of
    the sentence under a mask that shows each its own past. So a search that replaces hypotheses moves masks, a bit a
    slot, and no keys or values; slots that nobody sees any more are left behind when the buffer grows.

    Caches that follow one another share a buffer with room at its end. A second step from the same cache finds that
    room taken, and copies.
    """

    def __init__(self, sentences: int, width: int, buffer: _Buffer | None, length: int, visible: Tensor | None) -> None:
        self.sentences = sentences
        self.width = width
        """Hypotheses a sentence, adjacent rows."""
        self.length = length
        """Slots that are written."""
        self.visible = visible
        """``(sentences, width, length)``: which slots each hypothesis sees; None if each sees all."""
        self._buffer = buffer

    @classmethod
    def empty(cls, rows: int) -> Cache:
        """The cache before the first step of ``rows`` sentences."""
        return cls(rows, 1, None, 0, None)

    @property
    def keys(self) -> Tensor:
        """``(sentences, heads, length, head size)``."""
        assert self._buffer is not None
        return self._buffer.slots[0, :, :, : self.length]

    @property
    def values(self) -> Tensor:
        """``(sentences, heads, length, head size)``."""
        assert self._buffer is not None
        return self._buffer.slots[1, :, :, : self.length]

    def appended(self, step: Tensor) -> Cache:
        """Add the keys and values of one position a row, ``(2, rows, heads, head size)``."""
        cache = self._with_room(step)
        buffer, end = cache._buffer, cache.length + self.width
        assert buffer is not None
        new = step.unflatten(1, (self.sentences, self.width)).transpose(2, 3)
        buffer.slots[:, :, :, cache.length : end] = new
        buffer.written = end
        visible = None
        if self.width > 1:
            own = torch.eye(self.width, dtype=torch.bool, device=step.device).expand(self.sentences, -1, -1)
            visible = own if cache.visible is None else torch.cat([cache.visible, own], dim=2)
        return Cache(self.sentences, self.width, buffer, end, visible)

    def expand(self, width: int) -> Cache:
        """Repeat every row ``width`` times."""
        visible = self.visible
        if visible is not None:
            visible = visible.repeat_interleave(width, dim=1)
        elif self._buffer is not None:
            visible = self.keys.new_ones((self.sentences, width, self.length), dtype=torch.bool)
        return Cache(
            self.sentences, self.width * width, self._buffer, self.length, visible if width > 1 else self.visible
        )

    def select(self, rows: Tensor, sentences: Tensor | None) -> Cache:
        """Keep these rows, in that order, which are of these sentences (of all of them, in their order, if None)."""
        visible = self.visible
        if visible is not None:
            visible = visible.flatten(0, 1).index_select(0, rows).unflatten(0, (-1, self.width))
        if sentences is None or self._buffer is None:
            count = len(rows) // self.width
            return Cache(count, self.width, self._buffer, self.length, visible)
        slots = self._buffer.slots[:, :, :, : self.length].index_select(1, sentences)
        return Cache(len(sentences), self.width, _Buffer(slots, self.length), self.length, visible)

    def _with_room(self, step: Tensor) -> Cache:
        """This cache, or what is seen of it in a buffer with room for ``GROWTH`` steps."""
        if self._buffer is None:
            slots = step.new_empty((2, self.sentences, step.shape[2], GROWTH * self.width, step.shape[3]))
            return Cache(self.sentences, self.width, _Buffer(slots, 0), 0, None)
        old, length = self._buffer.slots[:, :, :, : self.length], self.length
        if self._buffer.written == length and length + self.width <= self._buffer.slots.shape[3]:
            return self
        visible = self.visible
        if visible is not None:
            seen = visible.any(dim=1)
            length = int(seen.sum(dim=1).max())
            kept = seen.to(torch.int8).argsort(dim=1, descending=True)[:, :length]
            visible = visible.gather(2, kept[:, None].expand(-1, self.width, -1))
            old = old.gather(3, kept[None, :, None, :, None].expand(2, -1, old.shape[2], -1, old.shape[4]))
        slots = old.new_empty((*old.shape[:3], length + GROWTH * self.width, old.shape[4]))
        slots[:, :, :, :length] = old
        return Cache(self.sentences, self.width, _Buffer(slots, length), length, visible)
