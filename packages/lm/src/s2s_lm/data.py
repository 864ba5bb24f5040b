"""Prepared text to segments for training and evaluation."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from s2s_core.data.bptt import (
    DocumentPlan,
    Segment,
    SegmentLoader,
    SegmentPlan,
    SentencePlan,
    Sharing,
    StreamPlan,
    TokenStream,
)
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.text import TextTable
from s2s_core.errors import UserError
from s2s_lm.interfaces import IGNORED, SegmentBatch
from s2s_lm.prepared import PreparedData
from s2s_lm.tokenizers import LmTokenizer

_log = logging.getLogger(__name__)

Mode = Literal["stream", "documents", "sentences"]

COLUMN = "tokens"


@dataclass
class Segmenting:
    """What few users of `LmData` change."""

    variable_length: bool = False
    """Draw the lengths of a stream's segments as AWD-LSTM does; the learning rate then follows the length."""
    random_start: bool = False
    """Rotate the stream by a random number of tokens each epoch."""
    validation_rows: int = 1
    """Parts of a stream that are validated side by side, which is faster; each begins without context, so only 1 is
    exact. The test is always exact."""
    eval_length: int | None = None
    """Tokens of a segment in evaluation; as in training if None. It changes no result of a recurrent model."""
    seed: int = 0
    """Of lengths, rotation and shuffling."""


class LmData(PreparedData):
    """Segments of text for truncated backpropagation, from the Arrow files that ``prepare text`` writes.

    Every token is a target once an epoch, whatever the number of rows and processes. A run resumed within an epoch goes
    on with the segment after the last one trained, with the state that the model had then.

    Args:
        train, validation, test, predict: prepared files.
        mode: ``stream`` reads the rows of the files as one text, ``documents`` forgets the state where a row of the
            file ends, ``sentences`` reads each whole, in batches of like length.
        batch_size: rows of a training batch, in each process. Of sentences: as many as fit into ``batch_size *
            segment_length`` tokens.
        segment_length: tokens of each row in a segment.
        segmenting: the rest.
    """

    def __init__(
        self,
        train: str | list[str] | None = None,
        validation: str | list[str] | None = None,
        test: str | list[str] | None = None,
        predict: str | list[str] | None = None,
        mode: Mode = "stream",
        batch_size: int = 20,
        segment_length: int = 70,
        segmenting: Segmenting | None = None,
    ) -> None:
        super().__init__(train, validation, test, predict)
        if mode not in ("stream", "documents", "sentences"):
            raise ValueError(f"mode must be stream, documents or sentences, not {mode!r}")
        for name, value in (("batch_size", batch_size), ("segment_length", segment_length)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.mode: Mode = mode
        self.batch_size, self.segment_length = batch_size, segment_length
        self.segmenting = segmenting or Segmenting()

    def setup(self, stage: str) -> None:
        for split, table in self._tables(stage):
            if COLUMN not in table.columns:
                raise UserError(f"{table.paths[0]}: not of `prepare text` (columns {', '.join(table.columns)})")
            self._check_vocabulary(table)
            self._read[split] = table
            lengths = table.lengths(COLUMN)
            if self._speaks:
                _log.info("%s: %d rows, %d tokens", split, len(table), lengths.sum())

    def _check_vocabulary(self, table: TextTable) -> None:
        tokenizer = self._tokenizer()
        for path, metadata in zip(table.paths, table.metadata, strict=True):
            found = metadata.get("vocabulary")
            if tokenizer is not None and found is not None and found != tokenizer.fingerprint():
                raise UserError(f"{path}: was prepared with another vocabulary than the model's")

    def _tokenizer(self) -> LmTokenizer | None:
        return getattr(self._module, "tokenizer", None)

    def loader(self, split: str) -> SegmentLoader[SegmentBatch]:
        """The segments of a split that `setup` has read."""
        table = self._read[split]
        stream = TokenStream(table.runs(COLUMN))
        tokenizer = self._tokenizer()
        reader = SegmentReader(stream, 0 if tokenizer is None else tokenizer.eos_id, table.lengths(COLUMN))
        read = reader.with_ids if split == "predict" else reader
        return SegmentLoader(self._plan(split, table.lengths(COLUMN)), read, self._progress(split))

    def _plan(self, split: str, lengths: np.ndarray) -> SegmentPlan:
        training, chosen = split == "train", self.segmenting
        rank, world = self._rank_and_size
        length = self.segment_length if training else chosen.eval_length or self.segment_length
        if self.mode == "sentences" or split == "predict":
            budget = self.batch_size * self.segment_length
            sampler = BucketBatchSampler(
                lengths, budget, None, 2 if training else 1, 0.05, training, chosen.seed, rank, world
            )
            return SentencePlan(lengths, sampler)
        sharing = Sharing(rank, world)
        if self.mode == "documents":
            return DocumentPlan(lengths, self.batch_size, length, training, chosen.seed, sharing)
        total = int(lengths.sum())
        if not training:
            return StreamPlan(total, chosen.validation_rows if split == "validation" else 1, length, sharing=sharing)
        rows = self.batch_size * world
        return StreamPlan(total, rows, length, chosen.variable_length, chosen.random_start, chosen.seed, sharing)


class SegmentReader:
    """Makes batches of segments: the inputs are the targets, one step late; a text begins after an end of line.

    Args:
        stream: the text.
        eos_id: what a sequence begins after.
        sizes: tokens of each row of the files, for `with_ids`.
    """

    def __init__(self, stream: TokenStream, eos_id: int, sizes: np.ndarray) -> None:
        self._stream, self._eos = stream, eos_id
        self._starts = np.cumsum(sizes) - sizes

    def __call__(self, segment: Segment) -> SegmentBatch:
        lengths = segment.lengths.tolist()
        time = max(1, *lengths)
        tokens = np.full((len(lengths), time), self._eos, dtype=np.int64)
        targets = np.full((len(lengths), time), IGNORED, dtype=np.int64)
        for row, (position, length) in enumerate(zip(segment.positions.tolist(), lengths, strict=True)):
            if not length:
                continue
            targets[row, :length] = self._stream.read(position, length)
            tokens[row, 1:length] = targets[row, : length - 1]
            if position:
                tokens[row, 0] = self._stream.read(position - 1, 1)[0]
        full = min(lengths) == time
        return SegmentBatch(
            tokens=torch.from_numpy(tokens),
            targets=torch.from_numpy(targets),
            starts=torch.from_numpy(segment.begins.copy()),
            lengths=None if full else lengths,
            fresh=bool(segment.begins.all()),
            stretch=time / segment.usual,
        )

    def with_ids(self, segment: Segment) -> SegmentBatch:
        """A batch that names its rows, each a whole row of the files."""
        batch = self(segment)
        batch.ids = [str(number + 1) for number in np.searchsorted(self._starts, segment.positions).tolist()]
        return batch
