"""What self-attention keeps from step to step, for beams of hypotheses that share most of their past."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GROWTH = 8
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
        self._buffer = buffer
        self._visible = visible

    @classmethod
    def empty(cls, rows: int) -> Cache:
        """The cache before the first step of ``rows`` sentences."""
        return cls(rows, 1, None, 0, None)

    @property
    def keys(self) -> Tensor:
        """``(sentences, heads, slots, head size)``; zeros in slots not written yet."""
        # those as well, because products of what has no gaps in memory need no copy; `visible` hides them
        assert self._buffer is not None
        return self._buffer.slots[0]

    @property
    def values(self) -> Tensor:
        """As `keys`."""
        assert self._buffer is not None
        return self._buffer.slots[1]

    @property
    def visible(self) -> Tensor:
        """``(sentences, width, slots)``, bool: which slots each hypothesis sees."""
        assert self._visible is not None
        return self._visible

    def appended(self, step: Tensor) -> Cache:
        """Add the keys and values of one position a row, ``(2, rows, heads, head size)``."""
        cache = self._with_room(step)
        buffer, begin, end = cache._buffer, cache.length, cache.length + self.width
        assert buffer is not None
        buffer.slots[:, :, :, begin:end] = step.unflatten(1, (self.sentences, self.width)).transpose(2, 3)
        buffer.written = end
        visible = cache.visible.clone()
        visible[:, :, begin:end].diagonal(dim1=1, dim2=2).fill_(True)
        return Cache(self.sentences, self.width, buffer, end, visible)

    def expand(self, width: int) -> Cache:
        """Repeat every row ``width`` times."""
        visible = None if self._visible is None else self._visible.repeat_interleave(width, dim=1)
        return Cache(self.sentences, self.width * width, self._buffer, self.length, visible)

    def select(self, rows: Tensor, sentences: Tensor | None) -> Cache:
        """Keep these rows, in that order, which are of these sentences (of all of them, in their order, if None)."""
        if self._buffer is None or self._visible is None:
            return Cache(len(rows) // self.width, self.width, None, 0, None)
        visible = self._visible.flatten(0, 1).index_select(0, rows).unflatten(0, (-1, self.width))
        if sentences is None:
            return Cache(self.sentences, self.width, self._buffer, self.length, visible)
        buffer = _Buffer(self._buffer.slots.index_select(1, sentences), self.length)
        return Cache(len(sentences), self.width, buffer, self.length, visible)

    def _with_room(self, step: Tensor) -> Cache:
        """This cache, or what is seen of it in a buffer with room for ``GROWTH`` steps."""
        room = GROWTH * self.width
        if self._buffer is None or self._visible is None:
            slots = step.new_zeros((2, self.sentences, step.shape[2], room, step.shape[3]))
            visible = slots.new_zeros((self.sentences, self.width, room), dtype=torch.bool)
            return Cache(self.sentences, self.width, _Buffer(slots, 0), 0, visible)
        old = self._buffer.slots
        if self._buffer.written == self.length and self.length + self.width <= old.shape[3]:
            return self
        seen = self._visible.any(dim=1)
        length = int(seen.sum(dim=1).max())
        kept = seen.to(torch.int8).argsort(dim=1, descending=True)[:, :length]
        sentence = torch.arange(self.sentences, device=kept.device)[:, None]
        slots = old.new_zeros((*old.shape[:3], length + room, old.shape[4]))
        for new, past in zip(slots, old, strict=True):
            new[:, :, :length] = past.transpose(1, 2)[sentence, kept].transpose(1, 2)
        visible = self._visible.new_zeros((self.sentences, self.width, length + room))
        visible[:, :, :length] = self._visible.gather(2, kept[:, None].expand(-1, self.width, -1))
        return Cache(self.sentences, self.width, _Buffer(slots, length), length, visible)
