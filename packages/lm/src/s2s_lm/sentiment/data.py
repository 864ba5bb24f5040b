"""Prepared texts and their classes to batches."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch.utils.data import Dataset

from s2s_core.data.loader import Loaded, ResumableLoader
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.text import TextTable
from s2s_core.errors import UserError
from s2s_lm.prepared import PreparedData
from s2s_lm.sentiment.interfaces import ClassificationBatch
from s2s_lm.sentiment.padding import pad_texts

if TYPE_CHECKING:
    from s2s_lm.sentiment.task import SentimentClassification

_log = logging.getLogger(__name__)

TOKENS, LABEL = "tokens", "label"


class ClassificationData(PreparedData):
    """Batches of texts of like length from the Arrow files that ``prepare`` writes.

    Args:
        train, validation, test, predict: prepared files.
        batch_size: the most texts in a batch, in each process.
        max_length: longer texts keep their last so many tokens, n-grams included, where a review says what it means
            (OpenSeq2Seq: 256 for IMDB, 96 for SST).
        seed: of the order of training batches.
    """

    def __init__(
        self,
        train: str | list[str] | None = None,
        validation: str | list[str] | None = None,
        test: str | list[str] | None = None,
        predict: str | list[str] | None = None,
        batch_size: int = 32,
        max_length: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(train, validation, test, predict)
        if batch_size < 1 or max_length < 1:
            raise ValueError(f"batch_size and max_length must be at least 1, got {batch_size} and {max_length}")
        self.batch_size, self.max_length, self.seed = batch_size, max_length, seed

    def setup(self, stage: str) -> None:
        for split, table in self._tables(stage):
            self._check(table)
            self._read[split] = table
            if self._speaks:
                _log.info("%s: %d texts", split, len(table))

    def _check(self, table: TextTable) -> None:
        module = self._task()
        for path, metadata in zip(table.paths, table.metadata, strict=True):
            if LABEL not in table.columns:
                raise UserError(f"{path}: has no labels; `lightning run sentiment prepare` writes such files")
            if module is None:
                continue
            labels = json.loads(metadata["labels"])
            if labels != module.labels:
                raise UserError(f"{path}: classes are {', '.join(labels)}, the model's {', '.join(module.labels)}")
            if metadata["vocabulary"] != module.tokenizer.fingerprint():
                spelling = module.tokenizer.buckets
                hint = f"; the model's has spelling: prepare with --spelling {spelling}" if spelling else ""
                raise UserError(f"{path}: was prepared with another vocabulary than the model's{hint}")

    def _task(self) -> SentimentClassification | None:
        return cast("SentimentClassification | None", self._module)

    def loader(self, split: str) -> ResumableLoader[ClassificationBatch]:
        """The batches of a split that `setup` has read."""
        table, training = self._read[split], split == "train"
        rank, world_size = self._rank_and_size
        lengths = np.minimum(table.lengths(TOKENS), self.max_length) + 2
        sampler = BucketBatchSampler(
            lengths,
            batch_total=float(self.batch_size * (self.max_length + 2)),
            max_batch_size=self.batch_size,
            min_bucket_batches=8 if training else 1,
            shuffle=training,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
        )
        module = self._task()
        eos = module.tokenizer.eos_id if module is not None else 0
        return self._resumable(split, LabelledTexts(table, eos, self.max_length), sampler)


class LabelledTexts(Dataset[Loaded[ClassificationBatch]]):
    """Rows of a prepared file, a batch at a time."""

    def __init__(self, table: TextTable, eos_id: int, max_length: int) -> None:
        self._table, self._eos, self._max = table, eos_id, max_length
        labels = json.loads(table.metadata[0]["labels"])
        self._numbers = {label: number for number, label in enumerate(labels)} | {"": -1}

    def __len__(self) -> int:
        return len(self._table)

    def __getitems__(self, rows: list[int]) -> Loaded[ClassificationBatch]:
        ids = [self._table.tokens(TOKENS, row).tolist()[-self._max :] for row in rows]
        labels = torch.tensor([self._numbers[self._table.text(LABEL, row)] for row in rows])
        tokens, lengths = pad_texts(ids, self._eos)
        return Loaded(ClassificationBatch(tokens, lengths, labels, [str(row + 1) for row in rows]))
