"""Tokenised sentence pairs to batches for training and evaluation."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from s2s_core.data.loader import ResumableLoader
from s2s_core.data.pair_sampling import PairBatchSampler
from s2s_core.data.splits import SplitData
from s2s_core.data.text import TextTable
from s2s_core.errors import UserError
from s2s_core.text.sentences import SentenceTokenizer
from s2s_nmt.interfaces import TextBatch
from s2s_nmt.pairs import IDS, Pairs, Sentences

_log = logging.getLogger(__name__)

_MADE = {IDS, "source", "target", "source_tokens", "target_tokens"}
"""The columns that ``prepare`` writes."""


@dataclass
class TextDetails:
    """What few users of `ParallelData` change."""

    eval_batch_tokens: int | None = None
    """Budget of a batch in evaluation; that of training if None. It changes no result."""
    alike: bool = True
    """Whether the pairs of a training batch are of like lengths; if not, they are drawn from all, as OpenSeq2Seq did,
    and padding is several times as much."""
    length_multiple: int = 1
    """Both sides of a batch are padded to multiples of this; 8 suits tensor cores."""
    seed: int = 0
    """Of the order of training batches."""


class ParallelData(SplitData):
    """Batches of sentence pairs of like lengths on both sides, under a budget of padded tokens.

    The order of training batches is a function of seed and epoch, the same for any number of workers; a run resumed
    within an epoch goes on with the batch after the last one trained. Evaluation sees every pair exactly once,
    whatever the number of processes. Tokens come from the files; where those were made with another vocabulary than
    the model's, they are made anew from the text, which is said.

    Args:
        train, validation, test, predict: ``.arrow`` files as ``prepare`` writes them, one or several.
        batch_tokens: the most tokens in a batch, source and target together, padding included.
        batch_size: the most pairs in a batch.
        max_length: training pairs with more tokens than this on either side, the end included, are left out, and
            counted. Evaluation keeps them.
        num_workers: processes that read; 0 reads in the training process.
        details: the rest.
    """

    def __init__(
        self,
        train: str | list[str] | None = None,
        validation: str | list[str] | None = None,
        test: str | list[str] | None = None,
        predict: str | list[str] | None = None,
        batch_tokens: int = 8192,
        batch_size: int | None = None,
        max_length: int | None = None,
        num_workers: int = 0,
        details: TextDetails | None = None,
    ) -> None:
        super().__init__(num_workers)
        for name, value in (("batch_tokens", batch_tokens), ("batch_size", batch_size), ("max_length", max_length)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.files = {"train": train, "validation": validation, "test": test, "predict": predict}
        self.batch_tokens = batch_tokens
        self.batch_size = batch_size
        self.max_length = max_length
        self.details = details or TextDetails()
        self.source_tokenizer: SentenceTokenizer | None = None
        self.target_tokenizer: SentenceTokenizer | None = None
        """The model's, once a trainer is attached; set both by hand to use the loaders without one."""

    def setup(self, stage: str) -> None:
        """Open the files of a stage and say what there is.

        Raises:
            UserError: if a file is not given, cannot be read or holds nothing usable.
        """
        self.source_tokenizer = getattr(self._module, "source_tokenizer", self.source_tokenizer)
        self.target_tokenizer = getattr(self._module, "target_tokenizer", self.target_tokenizer)
        for split in self._unread(stage, self.files):
            self._read[split] = self._load(split)

    def _load(self, split: str) -> Pairs:
        if self.source_tokenizer is None or self.target_tokenizer is None:
            raise UserError("ParallelData: set both tokenizers, or use it with a trainer whose model has them")
        given = self.files[split]
        if not given:
            wants_any = split == "predict"
            hint = "any that `prepare` wrote will do" if wants_any else f"`prepare CORPUS` writes {split}.arrow"
            raise UserError(f"data.init_args.{split}: no file given; {hint}")
        table = TextTable([given] if isinstance(given, str) else given)
        if not set(table.columns) >= _MADE:
            raise UserError(f"{table.paths[0]}: has columns {', '.join(table.columns)}, expected pairs of sentences")
        source = Sentences(table, "source", self.source_tokenizer)
        target = Sentences(table, "target", self.target_tokenizer) if split != "predict" else None
        stored = source.stored and (target is None or target.stored)
        notes = [] if stored else ["tokenised anew, because the model's vocabulary is another"]
        rows = np.arange(len(table))
        if split == "train" and self.max_length is not None and target is not None:
            rows = np.flatnonzero(np.maximum(source.lengths, target.lengths) <= self.max_length)
            if len(rows) < len(table):
                notes.append(f"{len(table) - len(rows)} longer than {self.max_length} tokens left out")
        if not len(rows):
            raise UserError(f"{given}: none of the {len(table)} pairs is left ({'; '.join(notes)})")
        pairs = Pairs(table, rows, source, target, self.details.length_multiple)
        self._announce(split, pairs, notes)
        return pairs

    def _announce(self, split: str, pairs: Pairs, notes: list[str]) -> None:
        sampler = self._sampler(split, pairs)
        figures = [
            f"{len(pairs)} pairs",
            f"{int(pairs.source.lengths[pairs.rows].sum())} source tokens",
            *([f"{int(pairs.target.lengths[pairs.rows].sum())} target tokens"] if pairs.target is not None else []),
            f"{sampler.batches_per_epoch} batches of up to {sampler.batch_total} tokens",
            f"padding {100 * sampler.padding_waste():.1f} %",
        ]
        if self._speaks:
            _log.info("%s: %s", split, ", ".join(figures + notes))

    @property
    def padding_waste(self) -> float:
        """The share of padding in the training batches' tokens, both sides counted (epoch 0); 0 is none."""
        return self._sampler("train", self._read["train"]).padding_waste()

    def count(self, split: str) -> int:
        """How many pairs a split has that `setup` has read; 0 if it has not."""
        return len(self._read[split]) if split in self._read else 0

    def _sampler(self, split: str, pairs: Pairs) -> PairBatchSampler:
        training = split == "train"
        budget = self.batch_tokens if training else self.details.eval_batch_tokens or self.batch_tokens
        source = pairs.source.lengths[pairs.rows]
        rank, world_size = self._rank_and_size
        target = source if pairs.target is None else pairs.target.lengths[pairs.rows]
        return PairBatchSampler(
            np.stack([source, target], axis=1),
            batch_total=budget,
            max_batch_size=self.batch_size,
            alike=self.details.alike or not training,
            shuffle=training,
            seed=self.details.seed,
            rank=rank,
            world_size=world_size,
        )

    def predict_ids(self) -> list[str]:
        """The pairs' ids in the order of the predict files."""
        pairs = self._read["predict"]
        return [pairs.table.text(IDS, int(row)) for row in pairs.rows]

    def loader(self, split: str) -> ResumableLoader[TextBatch]:
        """The batches of a split that `setup` has read."""
        pairs = self._read[split]
        return self._resumable(split, pairs, self._sampler(split, pairs))
