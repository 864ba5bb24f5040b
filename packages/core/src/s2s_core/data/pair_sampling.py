"""Batches of pairs whose sides are both of like length, planned a whole epoch at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from s2s_core.data.sampling import BatchSampler

_STRIP_FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Numbers of strips that are tried, in units of the square root of the number of batches."""


class PairBatchSampler(BatchSampler):
    """Batches of pairs under a budget on their *padded* total, both sides counted.

    Pairs lie in a plane of two lengths. A path runs through it strip by strip: a strip holds neighbouring lengths of
    one side and is walked along the other, up one strip and down the next, so that neighbours on the path are alike in
    both. Batches are cut from the path one after the other, each as large as the budget allows: there is no remainder
    but the last. Of several numbers of strips, the one with the least padding is taken.

    Each epoch draws anew which of the pairs of equal lengths comes first, and the order of the batches; even epochs
    have strips of the first side, odd ones of the second, so that a pair meets other neighbours. The number of batches
    is the same in every epoch and on every rank: where it differs or does not divide, the largest batches are split.

    Args:
        lengths: ``(pairs, 2)``, positive: tokens of the two sides.
        batch_total: the budget: pairs x (longest first side + longest second side).
        max_batch_size: the most pairs in a batch, whatever the budget says.
        shuffle, seed, rank, world_size: see `BatchSampler`; without ``shuffle`` every epoch is the same.
    """

    def __init__(
        self,
        lengths: ArrayLike,
        batch_total: float,
        max_batch_size: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        pairs = np.asarray(lengths, dtype=np.int64)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ValueError(f"lengths must be (pairs, 2), got shape {pairs.shape}")
        super().__init__(pairs, shuffle, seed, rank, world_size)
        if batch_total <= 0:
            raise ValueError(f"batch_total must be positive, got {batch_total}")
        if max_batch_size is not None and max_batch_size < 1:
            raise ValueError(f"max_batch_size must be at least 1, got {max_batch_size}")
        self.batch_total = batch_total
        self.max_batch_size = max_batch_size
        # pairs of equal lengths are one cell: there are far fewer cells than pairs
        self._cells, cell_of_pair, self._counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
        self._cell_of_pair = cell_of_pair.reshape(-1)
        self._paths = [self._best_path(side) for side in ((0, 1) if shuffle else (0,))] if len(pairs) else []
        most = max((len(sizes) for _, sizes in self._paths), default=0)
        for _, sizes in self._paths:
            _split_to(sizes, -(-most // world_size) * world_size)

    def _best_path(self, side: int) -> tuple[np.ndarray, list[int]]:
        """The order of the cells, and the sizes of the batches along it."""
        total = float((self._counts * self._cells.sum(axis=1)).sum())
        candidates = [max(1, round(f * np.sqrt(total / self.batch_total))) for f in _STRIP_FACTORS]
        found = []
        for strips in dict.fromkeys(candidates):
            order = self._path(side, strips)
            lengths = np.repeat(self._cells[order], self._counts[order], axis=0)
            sizes = list(self._cut(lengths))
            longest = np.maximum.reduceat(lengths, np.cumsum(sizes) - sizes)
            found.append((float((longest.sum(axis=1) * sizes).sum()), order, sizes))
        _, order, sizes = min(found, key=lambda one: one[0])
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return rank, sizes

    def _path(self, side: int, strips: int) -> np.ndarray:
        """Cells along the path, from long to short."""
        own, other = self._cells[:, side], self._cells[:, 1 - side]
        weight = np.bincount(own, weights=self._counts * (own + other))[::-1]  # of each length, from long to short
        strip_of_length = ((np.cumsum(weight) - weight) * strips / weight.sum()).astype(np.int64)[::-1]
        strip = strip_of_length[own]
        return np.lexsort((-own, np.where(strip % 2 == 0, -other, other), strip))

    def _cut(self, lengths: np.ndarray) -> Iterator[int]:
        start, count = 0, len(lengths)
        while start < count:
            most = max(1, int(self.batch_total / lengths[start].sum()))
            most = min(most, self.max_batch_size or most, count - start)
            longest = np.maximum.accumulate(lengths[start : start + most], axis=0).sum(axis=1)
            fitting = np.searchsorted(longest * np.arange(1, most + 1), self.batch_total, side="right")
            size = max(1, int(fitting))
            yield size
            start += size

    @property
    def planned_batches(self) -> int:
        return len(self._paths[0][1]) if self._paths else 0

    def fill(self, rng: np.random.Generator, epoch: int) -> list[list[int]]:
        if not self._paths:
            return []
        rank, sizes = self._paths[epoch % len(self._paths)]
        pairs = rng.permutation(len(self.lengths)) if self.shuffle else np.arange(len(self.lengths))
        order = pairs[np.argsort(rank[self._cell_of_pair[pairs]], kind="stable")].tolist()
        ends = np.cumsum(sizes).tolist()
        return [order[end - size : end] for end, size in zip(ends, sizes, strict=True)]

    def fingerprint(self) -> int:
        settings = repr((self.batch_total, self.max_batch_size, self.seed, self.shuffle, self.world_size))
        return zlib.crc32(self.lengths.tobytes(), zlib.crc32(settings.encode()))


def _split_to(sizes: list[int], count: int) -> None:
    """Split the largest batches in two until there are ``count``, or until each holds one pair."""
    while len(sizes) < count and (largest := max(sizes)) > 1:
        place = sizes.index(largest)
        sizes[place : place + 1] = [largest - largest // 2, largest // 2]
