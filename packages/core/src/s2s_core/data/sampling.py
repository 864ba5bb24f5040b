"""Batches of sequences of like length, planned a whole epoch at a time."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


class BatchSampler(ABC):
    """Batches of indices that every rank plans alike, an epoch at a time, from ``(seed, epoch)`` alone.

    Iterating yields lists of indices from the position that `load_state_dict` set (the epoch's start by default) to
    the end of the epoch. The position belongs to the epoch: `set_epoch` with another epoch forgets it.

    Args:
        lengths: of each sequence, ``(sequences,)``, or of each of its sides, ``(sequences, sides)``.
        shuffle: off for evaluation: the plan is then the same in every epoch.
        seed: of the shuffling.
        rank: this process's place among ``world_size``.
        world_size: the number of processes that share an epoch.
    """

    def __init__(self, lengths: np.ndarray, shuffle: bool, seed: int, rank: int, world_size: int) -> None:
        if not np.all(lengths > 0) or not np.all(np.isfinite(lengths)):
            raise ValueError("lengths must be positive and finite")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be in 0..{world_size - 1}, got {rank}")
        self.lengths = lengths
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.start = 0
        """Batches of this rank that are already done in this epoch."""

    @property
    @abstractmethod
    def planned_batches(self) -> int:
        """Different batches of an epoch, the same number in every epoch."""

    @abstractmethod
    def fill(self, rng: np.random.Generator, epoch: int) -> list[list[int]]:
        """All different batches of an epoch, neighbours in length side by side."""

    @abstractmethod
    def fingerprint(self) -> int:
        """A number that two samplers share only if their plans are the same."""

    def padding_waste(self, epoch: int = 0) -> float:
        """The share of an epoch's padded total that is padding, over all ranks and sides: 0 is none."""
        batches = self.plan(epoch)
        if not batches:
            return 0.0
        sizes = np.array([len(batch) for batch in batches])
        flat = self.lengths[np.concatenate([np.asarray(batch) for batch in batches])].reshape(sizes.sum(), -1)
        longest = np.maximum.reduceat(flat, np.cumsum(sizes) - sizes)
        return float(1 - flat.sum() / (longest * sizes[:, None]).sum())

    @property
    def batches_per_epoch(self) -> int:
        """Batches of all ranks together, the same in every epoch."""
        total = self.planned_batches
        return -(-total // self.world_size) * self.world_size if self.shuffle else total

    def __len__(self) -> int:
        """This rank's batches in a whole epoch, the same in every epoch."""
        return len(range(self.rank, self.batches_per_epoch, self.world_size))

    def plan(self, epoch: int) -> list[list[int]]:
        """All ranks' batches of an epoch: rank r takes every ``world_size``-th from the r-th on."""
        rng = np.random.default_rng([self.seed, epoch])
        batches = self.fill(rng, epoch)
        if not self.shuffle or not batches:
            return batches
        while len(batches) % self.world_size:
            batches.append(batches[int(rng.integers(len(batches)))])
        together = self.world_size
        groups = rng.permutation(len(batches) // together)
        return [batches[group * together + i] for group in groups for i in range(together)]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.plan(self.epoch)[self.rank :: self.world_size][self.start :])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration plans; another epoch than before begins at its start."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.start = 0

    def state_dict(self) -> dict[str, Any]:
        """The position: epoch, and batches of each rank that are done before the next iteration begins."""
        return {"epoch": self.epoch, "batches": self.start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin the next iterations at a position; one at the end of an epoch is the start of the next."""
        self.epoch, self.start = int(state["epoch"]), int(state["batches"])
        if self.start >= len(self):
            self.epoch, self.start = self.epoch + 1, 0


class BucketBatchSampler(BatchSampler):
    """Batches under a budget on their *padded* total, planned for every epoch from ``(seed, epoch)`` alone.

    Sequences are sorted from long to short and cut into buckets. A bucket holds a whole number of equal batches, as
    many as it takes to give them something to be shuffled among, and the batch size is what the budget allows for
    the bucket's longest sequence: no bucket leaves a remainder, no batch is over the budget (but for a sequence that
    alone is), and the number of batches is the same in every epoch. Each epoch shuffles the sequences within their
    bucket and then the batches; ``world_size`` neighbours in length stay together, so that no rank waits for another.

    Every rank makes the same plan and takes its own stride of it. To give all ranks the same number of batches, the
    largest batches are split in two until the number divides evenly: nothing is lost and nothing seen twice. Only
    where every batch is a single sequence already is that impossible: then training (``shuffle``) repeats up to
    ``world_size - 1`` of them, and evaluation leaves some ranks a batch short.

    Args:
        lengths: of each sequence, positive: seconds, tokens, frames.
        batch_total: the budget: longest length in the batch x number of sequences, in units of ``lengths``.
        max_batch_size: the most sequences in a batch, whatever the budget says.
        min_bucket_batches: batches that a bucket mixes at least. More means more randomness and more padding.
        bucket_width: a bucket goes on past ``min_bucket_batches`` while its shortest sequence is at least
            ``1 - bucket_width`` of its longest.
        shuffle, seed, rank, world_size: see `BatchSampler`; in evaluation the plan is from long to short.
    """

    def __init__(
        self,
        lengths: ArrayLike,
        batch_total: float,
        max_batch_size: int | None = None,
        min_bucket_batches: int = 2,
        bucket_width: float = 0.05,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(np.asarray(lengths, dtype=np.float64), shuffle, seed, rank, world_size)
        self._check(batch_total, max_batch_size, min_bucket_batches)
        self.batch_total = batch_total
        self.max_batch_size = max_batch_size
        self.min_bucket_batches = min_bucket_batches
        self.bucket_width = bucket_width
        self._order = np.argsort(-self.lengths, kind="stable")
        self._buckets = self._cut_buckets()
        _split_until_even(self._buckets, world_size)

    def _check(self, batch_total: float, max_batch_size: int | None, min_bucket_batches: int) -> None:
        if self.lengths.ndim != 1:
            raise ValueError(f"lengths must have one axis, got shape {self.lengths.shape}")
        if batch_total <= 0:
            raise ValueError(f"batch_total must be positive, got {batch_total}")
        if max_batch_size is not None and max_batch_size < 1:
            raise ValueError(f"max_batch_size must be at least 1, got {max_batch_size}")
        if min_bucket_batches < 1:
            raise ValueError(f"min_bucket_batches must be at least 1, got {min_bucket_batches}")

    def _cut_buckets(self) -> list[list[int]]:
        """Batch sizes of each bucket, from the longest sequences to the shortest."""
        descending = self.lengths[self._order]
        ascending = descending[::-1]
        count = len(descending)
        buckets: list[list[int]] = []
        start = 0
        while start < count:
            longest = descending[start]
            # the tolerance keeps 12 sequences of 40.0 s in a budget of 480 s where the division rounds below 12
            size = max(1, int(self.batch_total / longest + 1e-9))
            size = min(size, self.max_batch_size or size, count - start)
            end = count - int(np.searchsorted(ascending, longest * (1 - self.bucket_width)))
            batches = max(self.min_bucket_batches, (end - start) // size)
            batches = min(batches, (count - start) // size)
            buckets.append([size] * batches)
            start += batches * size
        return buckets

    @property
    def planned_batches(self) -> int:
        return sum(map(len, self._buckets))

    def fill(self, rng: np.random.Generator, epoch: int) -> list[list[int]]:
        order = self._order
        if self.shuffle:  # equal lengths fall on either side of a bucket's border by chance
            ties = rng.permutation(len(order))
            order = ties[np.argsort(-self.lengths[ties], kind="stable")]
        batches: list[list[int]] = []
        start = 0
        for sizes in self._buckets:
            members = order[start : start + sum(sizes)]
            start += len(members)
            mixed = (rng.permutation(members) if self.shuffle else members).tolist()
            position = 0
            for size in sizes:
                batches.append(mixed[position : position + size])
                position += size
        return batches

    def fingerprint(self) -> int:
        settings = (self.batch_total, self.max_batch_size, self.min_bucket_batches, self.bucket_width)
        text = repr((settings, self.seed, self.shuffle, self.world_size))
        return zlib.crc32(self.lengths.tobytes(), zlib.crc32(text.encode()))


def _split_until_even(buckets: list[list[int]], world_size: int) -> None:
    while sum(map(len, buckets)) % world_size:
        bucket = max(buckets, key=max)
        place = bucket.index(max(bucket))
        size = bucket[place]
        if size == 1:
            return
        bucket[place : place + 1] = [size - size // 2, size // 2]
