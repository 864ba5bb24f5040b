"""Several sources in one epoch at given shares: real and synthetic speech, say."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from s2s_core.data.sampling import BatchSampler, BucketBatchSampler

GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples, modulo one, are spread more evenly than random numbers, from the first on."""


def shares(sizes: Sequence[int], weights: Sequence[float], epoch_size: int | None = None) -> list[int]:
    """How many items of each source an epoch draws.

    Args:
        sizes: items of each source.
        weights: the expected shares, in any unit; a source of weight 0 is left out.
        epoch_size: items of an epoch. If None, an epoch is one pass over the first source whose weight is not 0.

    Raises:
        ValueError: if the numbers of sizes and weights differ, a weight is negative or not finite, all are 0, or a
            source with a weight has no items or would get none.
    """
    if len(sizes) != len(weights):
        raise ValueError(f"{len(weights)} weights for {len(sizes)} sources")
    if any(not 0 <= weight < math.inf for weight in weights) or not any(weights):
        raise ValueError(f"weights must be finite, at least 0 and not all 0, got {list(weights)}")
    first = next(number for number, weight in enumerate(weights) if weight)
    total = epoch_size if epoch_size is not None else sizes[first] * math.fsum(weights) / weights[first]
    exact = [total * weight / math.fsum(weights) for weight in weights]
    counts = [math.floor(share + 1e-9) for share in exact]
    by_remainder = sorted(range(len(counts)), key=lambda number: counts[number] - exact[number])
    for number in by_remainder[: round(total) - sum(counts)]:
        counts[number] += 1
    for number, (size, weight) in enumerate(zip(sizes, weights, strict=True)):
        if weight and not (size and counts[number]):
            raise ValueError(f"source {number} has weight {weight:g}, {size} items and {counts[number]} in an epoch")
    return counts


class Source(NamedTuple):
    """Where the items of a source are, and how many of them an epoch draws."""

    members: np.ndarray
    """``(items,)`` int64: indices into the sampler's lengths."""
    draws: int


class MixedBatchSampler(BatchSampler):
    """Batches of like length drawn from several sources, each a given number of items an epoch.

    The meaning is that of ``lhotse.CutSet.mux`` over repeated sources: weights are shares of the items, a small source
    comes round several times and a large one goes on in the next epoch. Instead of tossing a coin an item, the counts
    are exact, so that epochs are equally long and the position within one is a number of batches.

    ``draws`` items of a source of ``n`` are ``draws // n`` whole passes and a part of one. The part is taken evenly
    over the lengths: in the order of length, the items at ``floor((k + u) n / part)``, k = 0, 1, ... with ``u`` in
    [0, 1) of the epoch (systematic sampling), which gives each item the same chance. From epoch to epoch ``u`` moves on
    by the golden ratio, so that every item comes up in few epochs and all come up equally often in the long run. The
    k-th item is never longer than the one at ``floor(k n / part)``; on these bounds, the same in every epoch, a
    `BucketBatchSampler` plans, so no batch is over the budget and every epoch has the same number of batches.

    Args:
        lengths: of all items, ``(items,)``.
        sources: which of them belong together; an item of no source is not drawn.
        batch_total, max_batch_size, min_bucket_batches, bucket_width: see `BucketBatchSampler`.
        seed, rank, world_size: see `BatchSampler`; every epoch is shuffled.

    Raises:
        ValueError: if there is nothing to draw, or draws are asked of an empty source.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        sources: Sequence[Source],
        batch_total: float,
        max_batch_size: int | None = None,
        min_bucket_batches: int = 2,
        bucket_width: float = 0.05,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(np.asarray(lengths, dtype=np.float64), True, seed, rank, world_size)
        for number, source in enumerate(sources):
            if source.draws < 0 or (source.draws and not len(source.members)):
                raise ValueError(f"source {number}: {source.draws} draws from {len(source.members)} items")
        self._sources = [source for source in sources if source.draws]
        if not self._sources:
            raise ValueError("sources: none has draws")
        self._sorted = [
            np.asarray(s.members)[np.argsort(-self.lengths[s.members], kind="stable")] for s in self._sources
        ]
        longest = np.concatenate([self.lengths[self._slots(number, 0.0)] for number in range(len(self._sources))])
        self._plan = BucketBatchSampler(
            longest, batch_total, max_batch_size, min_bucket_batches, bucket_width, True, seed, rank, world_size
        )
        self.batch_total = batch_total

    @property
    def draws(self) -> list[int]:
        """Items of an epoch, by source."""
        return [source.draws for source in self._sources]

    @property
    def planned_batches(self) -> int:
        return self._plan.planned_batches

    def fill(self, rng: np.random.Generator, epoch: int) -> list[list[int]]:
        drawn = np.concatenate(
            [self._slots(number, self._offset(number, epoch)) for number in range(len(self._sources))]
        )
        return [drawn[slots].tolist() for slots in self._plan.fill(rng, epoch)]

    def fingerprint(self) -> int:
        text = repr(self.draws)
        number = zlib.crc32(text.encode(), self._plan.fingerprint())
        for members in self._sorted:
            number = zlib.crc32(self.lengths[members].tobytes(), zlib.crc32(members.tobytes(), number))
        return number

    def _offset(self, number: int, epoch: int) -> float:
        start = float(np.random.default_rng([self.seed, number]).random())
        return (start + epoch * GOLDEN) % 1.0

    def _slots(self, number: int, offset: float) -> np.ndarray:
        """The items that an epoch draws of a source, from long to short in each pass."""
        ordered, draws = self._sorted[number], self._sources[number].draws
        passes, part = divmod(draws, len(ordered))
        # an offset a hair below 1 may round up to the next slot's place
        places = np.minimum((np.arange(part) + offset) * (len(ordered) / part), len(ordered) - 1) if part else []
        return np.concatenate([*[ordered] * passes, ordered[np.asarray(places, dtype=np.int64)]])
