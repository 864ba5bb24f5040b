"""Truncated backpropagation through time: which tokens of a long text each row of a batch reads next.

A plan cuts a text into rows and the rows into segments, for every epoch from ``(seed, epoch)`` alone. A row's segments
follow one another without a gap, so a model that carries its state reads the row as one sequence; `Segment.begins` says
where a row's state is to be forgotten. Every token of the text is a target exactly once an epoch, whatever
the number of rows and processes.
"""

from __future__ import annotations

import heapq
import itertools
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from s2s_core.data.position import position
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.errors import UserError

Batch = TypeVar("Batch")

VARIABLE_SPREAD = 5
SHORTEST = 5
HALVED = 0.05
"""Of AWD-LSTM's segments: standard deviation, least length, and the share that aims at half the length."""


@dataclass(frozen=True)
class Segment:
    """What each row reads next."""

    positions: np.ndarray
    """``(rows,)`` int64: where in the text the row's first target stands."""
    lengths: np.ndarray
    """``(rows,)`` int64: how many targets, 0 for a row that is done."""
    begins: np.ndarray
    """``(rows,)`` bool: whether the row starts a new sequence here."""
    usual: int
    """The length that segments have on the whole."""


def nothing(usual: int) -> Segment:
    """What a process reads where there are fewer rows than processes: a trainer leaves one without batches behind, and
    the others then wait for its part of a metric."""
    return Segment(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), np.ones(1, dtype=bool), usual)


class TokenStream:
    """A text as one sequence of tokens that lies in several arrays, such as the chunks of a memory-mapped file."""

    def __init__(self, runs: Sequence[np.ndarray]) -> None:
        self._runs = list(runs)
        self._starts = np.concatenate([[0], np.cumsum([len(run) for run in runs], dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, start: int, count: int) -> np.ndarray:
        """``count`` tokens from ``start`` on; past the end the text begins again."""
        parts: list[np.ndarray] = []
        start %= max(1, len(self))
        while count > 0:
            number = int(np.searchsorted(self._starts, start, side="right")) - 1
            offset = start - int(self._starts[number])
            part = self._runs[number][offset : offset + count]
            parts.append(part)
            count -= len(part)
            start = (start + len(part)) % len(self)
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)


class SegmentPlan(ABC):
    """The segments of an epoch, as many in every epoch."""

    fingerprint: int
    """Of all that the plan depends on."""

    @abstractmethod
    def segments(self, epoch: int) -> list[Segment]:
        """This process's segments, in order."""

    @abstractmethod
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Sharing:
    """How rows are shared among processes."""

    rank: int = 0
    world_size: int = 1


class StreamPlan(SegmentPlan):
    """The text as one continuous stream, cut into equal rows (to one token) that each process reads side by side.

    Args:
        total: tokens of the text.
        rows: of all processes together. A row's first token has the one before it as input, but an empty state.
        length: tokens of a segment.
        variable: draw segments' lengths as AWD-LSTM does (Merity et al. 2018, section 4.1): normal around ``length``,
            now and then around half of it; the draws are then stretched to fill the rows, about 1 %.
        random_start: rotate the text by a random number of tokens each epoch, so that rows begin elsewhere.
        seed: of the drawing.
        sharing: which rows are this process's: neighbours in training, so that each has as many.
    """

    def __init__(
        self,
        total: int,
        rows: int,
        length: int,
        variable: bool = False,
        random_start: bool = False,
        seed: int = 0,
        sharing: Sharing | None = None,
    ) -> None:
        if length < 1 or rows < 1:
            raise ValueError(f"rows and length must be at least 1, got {rows} and {length}")
        self.total, self.rows, self.length = total, min(rows, total), length
        self.variable, self.random_start, self.seed = variable, random_start, seed
        self.sharing = sharing or Sharing()
        self.fingerprint = zlib.crc32(repr((total, rows, length, variable, random_start, seed, self.sharing)).encode())
        self._longest = -(-total // self.rows) if total else 0
        usual = length * (1 - HALVED / 2) if variable else length
        self._count = max(1, round(self._longest / usual)) if variable else -(-self._longest // length)

    def __len__(self) -> int:
        return self._count if len(self._own_rows()) else 1

    def _own_rows(self) -> np.ndarray:
        everyone, (rank, world) = np.arange(self.rows), (self.sharing.rank, self.sharing.world_size)
        return everyone[rank * self.rows // world : (rank + 1) * self.rows // world]

    def segments(self, epoch: int) -> list[Segment]:
        rng = np.random.default_rng([self.seed, epoch])
        offset = int(rng.integers(self.total)) if self.random_start else 0
        edges = self._edges(rng)
        own = self._own_rows()
        if not len(own):
            return [nothing(self.length)]
        first = own * self.total // self.rows
        sizes = (own + 1) * self.total // self.rows - first
        return [
            Segment(
                positions=(first + offset + start) % self.total,
                lengths=np.minimum(sizes, end) - np.minimum(sizes, start),
                begins=np.full(len(own), start == 0),
                usual=self.length,
            )
            for start, end in itertools.pairwise(edges)
        ]

    def _edges(self, rng: np.random.Generator) -> list[int]:
        if not self.variable:
            return [*range(0, self._longest, self.length), self._longest]
        aims = np.where(rng.random(self._count) < HALVED, self.length / 2, self.length)
        drawn = np.maximum(SHORTEST, rng.normal(aims, VARIABLE_SPREAD))
        return [0, *np.rint(np.cumsum(drawn) * (self._longest / drawn.sum())).astype(int).tolist()]


class DocumentPlan(SegmentPlan):
    """Documents one after the other in each row; a row's state begins anew where a document does.

    A document's last segment is as short as what is left of it, and the row's next segment is the next document's
    first. Documents are dealt out from long to short to the row with the least to read, so rows end almost together;
    each epoch shuffles the order within the rows.

    Args:
        lengths: tokens of each document, which follow one another in the text.
        rows: of this process.
        length: tokens of a segment.
        shuffle: off for evaluation.
        seed: of the shuffling.
        sharing: this process among all.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        rows: int,
        length: int,
        shuffle: bool = True,
        seed: int = 0,
        sharing: Sharing | None = None,
    ) -> None:
        if length < 1 or rows < 1:
            raise ValueError(f"rows and length must be at least 1, got {rows} and {length}")
        self.length, self.shuffle, self.seed = length, shuffle, seed
        share = sharing or Sharing()
        self._sizes = np.asarray(lengths, dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        settings = (rows, length, shuffle, seed, share)
        self.fingerprint = zlib.crc32(self._sizes.tobytes(), zlib.crc32(repr(settings).encode()))
        dealt, self._count = self._deal(min(rows * share.world_size, max(1, len(lengths))))
        self._documents = dealt[share.rank :: share.world_size]
        self._rank = share.rank

    def _deal(self, rows: int) -> tuple[list[list[int]], int]:
        segments = -(-self._sizes // self.length)
        loads = [(0, row) for row in range(rows)]
        dealt: list[list[int]] = [[] for _ in range(rows)]
        for document in np.argsort(-segments, kind="stable").tolist():
            load, row = heapq.heappop(loads)
            dealt[row].append(document)
            heapq.heappush(loads, (load + int(segments[document]), row))
        return dealt, max(load for load, _ in loads)

    def __len__(self) -> int:
        return self._count if self._documents else 1

    def segments(self, epoch: int) -> list[Segment]:
        if not self._documents:
            return [nothing(self.length)]
        rng = np.random.default_rng([self.seed, epoch, self._rank])
        shape = (self._count, len(self._documents))
        positions, lengths = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        begins = np.zeros(shape, dtype=bool)
        for row, documents in enumerate(self._documents):
            ordered = rng.permutation(documents) if self.shuffle else np.sort(np.asarray(documents, dtype=np.int64))
            counts = -(-self._sizes[ordered] // self.length)
            of = np.repeat(ordered, counts)
            nth = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
            positions[: len(of), row] = self._starts[of] + nth * self.length
            lengths[: len(of), row] = np.minimum(self.length, self._sizes[of] - nth * self.length)
            begins[: len(of), row] = nth == 0
        return [Segment(p, n, b, self.length) for p, n, b in zip(positions, lengths, begins, strict=True)]


class SentencePlan(SegmentPlan):
    """Sentences of like length side by side, each read whole from an empty state.

    Args:
        lengths: tokens of each sentence, which follow one another in the text.
        sampler: batches of sentences by number.
    """

    def __init__(self, lengths: np.ndarray, sampler: BucketBatchSampler) -> None:
        self._sizes = np.asarray(lengths, dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._sampler = sampler
        settings = (sampler.batch_total, sampler.max_batch_size, sampler.seed, sampler.shuffle, sampler.world_size)
        self.fingerprint = zlib.crc32(self._sizes.tobytes(), zlib.crc32(repr(settings).encode()))

    def __len__(self) -> int:
        return max(1, len(self._sampler))

    def segments(self, epoch: int) -> list[Segment]:
        batches = self._sampler.plan(epoch)[self._sampler.rank :: self._sampler.world_size]
        if not batches:
            return [nothing(int(self._sizes.max()))]
        return [
            Segment(self._starts[rows], self._sizes[rows], np.ones(len(rows), dtype=bool), int(self._sizes[rows].max()))
            for rows in batches
        ]


class SegmentLoader(Generic[Batch]):
    """The batches of a plan, from wherever a run stopped.

    Lightning keeps `state_dict` in its checkpoints. As with `ResumableLoader`, what counts as used is what ``trained``
    says, and a position at the end of an epoch is the start of the next one. The model's carried state belongs to the
    position: the task keeps it beside.

    Args:
        plan: the segments.
        read: makes a batch of one.
        trained: ``(done, whole)`` batches of the current epoch as the trainer counts them; without it a batch counts
            when it is handed over.
    """

    def __init__(
        self,
        plan: SegmentPlan,
        read: Callable[[Segment], Batch],
        trained: Callable[[], tuple[int, int | float]] | None = None,
    ) -> None:
        self.plan = plan
        self.sampler = self.batch_sampler = self  # where Lightning looks for set_epoch
        self.epoch = 0
        self._start = 0
        self._read = read
        self._trained = trained
        self._handed_over = (0, 0)

    def __len__(self) -> int:
        return len(self.plan)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration reads; another epoch than before begins at its start."""
        if epoch != self.epoch:
            self.epoch, self._start = epoch, 0

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch
        for done, segment in enumerate(self.plan.segments(epoch)):
            if done < self._start:
                continue
            self._handed_over = (epoch, done + 1)
            yield self._read(segment)

    def state_dict(self) -> dict[str, Any]:
        """The position, and a fingerprint of the plan that it is a position in."""
        epoch, batches = position(self.epoch, self._start, self._handed_over, len(self), self._trained)
        return {"epoch": epoch, "batches": batches, "plan": self.plan.fingerprint}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a position of `state_dict`.

        Raises:
            UserError: if it lies within an epoch that was planned from other data or settings.
        """
        if state["batches"] and state["plan"] != self.plan.fingerprint:
            raise UserError(
                "the checkpoint was written in the middle of an epoch over other segments: resume it with the same "
                "training data, batch size, segment length, seed and number of processes, or from the end of an epoch"
            )
        self.epoch, self._start = state["epoch"], state["batches"]
