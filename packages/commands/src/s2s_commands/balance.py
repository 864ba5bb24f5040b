"""Batches in which every class is as frequent, however many examples it has."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike

from s2s_core.data.sampling import BucketBatchSampler


class BalancedBatchSampler(BucketBatchSampler):
    """An epoch of ``per_class`` examples of each class, in batches of one size.

    A class with fewer examples repeats all of them before any comes again more often than another; of a class with
    more, each epoch draws others. OpenSeq2Seq duplicated at random, once, before training. The plan is a function of
    ``(seed, epoch)``, as that of `BucketBatchSampler`.

    Args:
        labels: the class number of each example.
        per_class: examples of each class in an epoch.
        batch_size: examples in a batch.
        seed, rank, world_size: see `BucketBatchSampler`.

    Raises:
        ValueError: if ``per_class`` is not positive.
    """

    def __init__(
        self, labels: ArrayLike, per_class: int, batch_size: int, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        if per_class < 1:
            raise ValueError(f"per_class must be at least 1, got {per_class}")
        self.labels = np.asarray(labels)
        self.per_class = per_class
        classes = np.unique(self.labels)
        self._members = [np.flatnonzero(self.labels == label) for label in classes]
        places = np.ones(per_class * len(classes))
        super().__init__(places, batch_size, batch_size, seed=seed, rank=rank, world_size=world_size)

    def plan(self, epoch: int) -> list[list[int]]:
        drawn = self.drawn(epoch)
        return [drawn[batch].tolist() for batch in super().plan(epoch)]

    def drawn(self, epoch: int) -> np.ndarray:
        """The examples of an epoch, ``per_class`` of each class."""
        rng = np.random.default_rng([self.seed, epoch, 1])
        times = [-(-self.per_class // len(members)) for members in self._members]
        rounds = [
            np.concatenate([rng.permutation(members) for _ in range(count)])[: self.per_class]
            for members, count in zip(self._members, times, strict=True)
        ]
        return np.concatenate(rounds)

    def fingerprint(self) -> int:
        return zlib.crc32(self.labels.tobytes(), super().fingerprint())
