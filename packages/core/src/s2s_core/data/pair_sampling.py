"""Batches of pairs whose sides are both of like length, planned a whole epoch at a time."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike

from s2s_core.data.sampling import BatchSampler

_STRIP_FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Numbers of strips that are tried, in units of the square root of the number of batches."""
_STRIP_CHANGE = (0.8, 1.25)
"""What the number of strips is multiplied by in an epoch: a random number between these."""
_MORE_BATCHES = 0.01
"""Share of batches that an epoch may have beyond the fewest, so that all epochs can have as many."""


class PairBatchSampler(BatchSampler):
    """Batches of pairs under a budget on their *padded* total, both sides counted.

    Pairs lie in a plane of two lengths. A path runs through it strip by strip: a strip holds neighbouring lengths of
    one side and is walked along the other, up one strip and down the next, so that neighbours on the path are alike in
    both. Batches are cut from the path one after the other, each as large as the budget allows: there is no remainder
    but the last. Of several numbers of strips, the one with the least padding is taken.

    So that pairs meet others in every epoch, it draws anew how wide the strips are, where on the path the first cut
    is, which of the pairs of equal lengths comes first, and the order of the batches; even epochs have strips of the
    first side, odd ones of the second. The number of batches is the same in every epoch and on every rank: where there
    are fewer, or it does not divide, the largest batches are split.

    Args:
        lengths: ``(pairs, 2)``, positive: tokens of the two sides.
        batch_total: the budget: pairs x (longest first side + longest second side).
        max_batch_size: the most pairs in a batch, whatever the budget says.
        alike: whether pairs of a batch are alike in length. If not, they are drawn from all, and the budget holds for
            any: as many pairs as it has room for if all were as long as the longest.
        shuffle, seed, rank, world_size: see `BatchSampler`; without ``shuffle`` every epoch is the same.
    """

    def __init__(
        self,
        lengths: ArrayLike,
        batch_total: float,
        max_batch_size: int | None = None,
        alike: bool = True,
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
        self.alike = alike
        # pairs of equal lengths are one cell: there are far fewer cells than pairs
        planned = pairs if alike or not len(pairs) else np.broadcast_to(pairs.max(axis=0), pairs.shape)
        self._cells, cell_of_pair, self._counts = np.unique(planned, axis=0, return_inverse=True, return_counts=True)
        self._cell_of_pair = cell_of_pair.reshape(-1)
        self._strips = [self._best_strips(side) for side in ((0, 1) if shuffle else (0,))] if len(pairs) else []
        fewest = max((len(self._cut(self._path(side, strips))) for side, strips in enumerate(self._strips)), default=0)
        most = 1 + int(fewest * (1 + _MORE_BATCHES)) if shuffle and fewest else fewest
        self._batches = min(-(-most // world_size) * world_size, len(pairs))

    def _best_strips(self, side: int) -> int:
        """The number of strips with the least padding."""
        total = float((self._counts * self._cells.sum(axis=1)).sum())
        candidates = [max(1, round(f * np.sqrt(total / self.batch_total))) for f in _STRIP_FACTORS]
        return min(dict.fromkeys(candidates), key=lambda strips: self._padded_total(self._path(side, strips)))

    def _padded_total(self, path: np.ndarray) -> int:
        sizes = self._cut(path)
        lengths = np.repeat(self._cells[path], self._counts[path], axis=0)
        longest = np.maximum.reduceat(lengths, (np.cumsum(sizes) - sizes).astype(np.int64))
        return int((longest.sum(axis=1) * sizes).sum())

    def _path(self, side: int, strips: int) -> np.ndarray:
        """Cells along the path, from long to short."""
        own, other = self._cells[:, side], self._cells[:, 1 - side]
        weight = np.bincount(own, weights=self._counts * (own + other))[::-1]  # of each length, from long to short
        strip_of_length = ((np.cumsum(weight) - weight) * strips / weight.sum()).astype(np.int64)[::-1]
        strip = strip_of_length[own]
        return np.lexsort((-own, np.where(strip % 2 == 0, -other, other), strip))

    def _cut(self, path: np.ndarray, first_share: float = 1.0) -> list[int]:
        """Sizes of the batches along a path; the first is to hold this share of what it could."""
        lengths = np.repeat(self._cells[path], self._counts[path], axis=0)
        sizes: list[int] = []
        start, count = 0, len(lengths)
        while start < count:
            most = max(1, int(self.batch_total / lengths[start].sum()))
            most = min(most, self.max_batch_size or most, count - start)
            longest = np.maximum.accumulate(lengths[start : start + most], axis=0).sum(axis=1)
            fitting = int(np.searchsorted(longest * np.arange(1, most + 1), self.batch_total, side="right"))
            size = max(1, fitting if sizes else round(fitting * first_share))
            sizes.append(size)
            start += size
        return sizes

    @property
    def planned_batches(self) -> int:
        return self._batches

    def fill(self, rng: np.random.Generator, epoch: int) -> list[list[int]]:
        if not self._strips:
            return []
        path, sizes = self._epoch_path(rng, epoch)
        rank = np.empty(len(path), dtype=np.int64)
        rank[path] = np.arange(len(path))
        pairs = rng.permutation(len(self.lengths)) if self.shuffle else np.arange(len(self.lengths))
        order = pairs[np.argsort(rank[self._cell_of_pair[pairs]], kind="stable")].tolist()
        _split_to(sizes, self._batches)
        ends = np.cumsum(sizes).tolist()
        return [order[end - size : end] for end, size in zip(ends, sizes, strict=True)]

    def _epoch_path(self, rng: np.random.Generator, epoch: int) -> tuple[np.ndarray, list[int]]:
        side = epoch % len(self._strips)
        best = self._strips[side]
        if not self.shuffle:
            path = self._path(side, best)
            return path, self._cut(path)
        share = float(rng.uniform())
        # a path with more batches than every epoch has gives way to the best, which has at most one above the fewest
        for strips in (round(best * rng.uniform(*_STRIP_CHANGE)), best):
            path = self._path(side, max(1, strips))
            sizes = self._cut(path, share)
            if len(sizes) <= self._batches:
                break
        return path, sizes

    def fingerprint(self) -> int:
        settings = repr((self.batch_total, self.max_batch_size, self.alike, self.seed, self.shuffle, self.world_size))
        return zlib.crc32(self.lengths.tobytes(), zlib.crc32(settings.encode()))


def _split_to(sizes: list[int], count: int) -> None:
    """Split the largest batches in two until there are ``count``, or until each holds one pair."""
    while len(sizes) < count and (largest := max(sizes)) > 1:
        place = sizes.index(largest)
        sizes[place : place + 1] = [largest - largest // 2, largest // 2]
