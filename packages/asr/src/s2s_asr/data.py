"""Manifests of recordings and transcripts to batches for training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from s2s_asr.interfaces import SpeechBatch
from s2s_asr.utterances import Utterances
from s2s_core.data.kept_audio import fits
from s2s_core.data.loader import ResumableLoader
from s2s_core.data.mixing import MixedBatchSampler, Source, shares
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.skipping import OnError
from s2s_core.data.speech import CutInfo, CutTable
from s2s_core.data.utterance_data import UtteranceData, given_manifest
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import Tokenizer

Manifests = str | list[str | list[str]]
"""One manifest, several, or several groups of them."""


@dataclass
class SpeechDetails:
    """What few users of `SpeechData` change."""

    eval_batch_seconds: float | None = None
    """Budget of a batch in evaluation; that of training if None. It changes no result."""
    min_duration_s: float = 0.1
    """Shorter training utterances are left out."""
    sample_rate_hz: int | None = None
    """Recordings at other rates are resampled to this; if None, to what the model's features expect, or 16000."""
    min_bucket_batches: int = 2
    bucket_width: float = 0.05
    """See `BucketBatchSampler`."""
    seed: int = 0
    """Of the order of training batches."""
    keep_audio_mb: int = 512
    """A split whose decoded audio fits in this much memory (per worker process) is decoded once."""
    train_weights: list[float] | None = None
    """The share of each entry of ``train`` in the utterances of an epoch, in any unit; 0 leaves one out. Without them,
    an epoch is one pass over everything."""
    epoch_utterances: int | None = None
    """Utterances of an epoch. If None, all, or with ``train_weights`` as many as make one pass over the first entry of
    ``train`` whose weight is not 0."""


class SpeechData(UtteranceData):
    """Batches of utterances of like length from Lhotse manifests, under a budget of padded seconds.

    The order of training batches is a function of seed and epoch, the same for any number of workers; a run resumed
    within an epoch goes on with the batch after the last one trained. Evaluation sees every utterance exactly once,
    whatever the number of processes.

    With ``details.train_weights``, an epoch draws from each entry of ``train`` in the given shares, as
    ``lhotse.CutSet.mux`` over repeated sets does, but with exact counts: see `MixedBatchSampler`.

    Args:
        train, validation, test, predict: manifests of Lhotse cuts (``.jsonl.gz``) or Lhotse Shar folders, one or
            several, as ``prepare`` writes them. An entry may itself be a list, which then has one weight.
        batch_seconds: the most seconds in a batch, padding included.
        batch_size: the most utterances in a batch.
        max_duration_s: longer training utterances are left out, and counted. Evaluation keeps them.
        num_workers: processes that decode audio; 0 decodes in the training process.
        on_error: what to do with an utterance whose recording cannot be read or whose transcript has unknown
            characters: ``raise``, or ``skip`` it, counted and listed at the end of the epoch. A training batch of
            which nothing is left is replaced by the next utterance that can be read.
        details: the rest.
    """

    unit: ClassVar[str] = "s"

    def __init__(
        self,
        train: Manifests | None = None,
        validation: Manifests | None = None,
        test: Manifests | None = None,
        predict: Manifests | None = None,
        batch_seconds: float = 120.0,
        batch_size: int | None = None,
        max_duration_s: float | None = None,
        num_workers: int = 0,
        on_error: OnError = "raise",
        details: SpeechDetails | None = None,
    ) -> None:
        manifests = {"train": train, "validation": validation, "test": test, "predict": predict}
        super().__init__(manifests, num_workers, on_error)
        if batch_seconds <= 0:
            raise ValueError(f"batch_seconds must be positive, got {batch_seconds}")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_seconds = batch_seconds
        self.batch_size = batch_size
        self.max_duration_s = max_duration_s
        self.details = details or SpeechDetails()
        self._source_of_cut = np.zeros(0, dtype=np.int64)

    def setup(self, stage: str) -> None:
        """Read the manifests of a stage, check their transcripts, and say what there is.

        Raises:
            UserError: if a manifest is not given, cannot be read or holds nothing usable.
        """
        if isinstance(getattr(self._module, "tokenizer", None), Tokenizer):
            self.tokenizer = self._module.tokenizer
        for split in self._unread(stage, self.manifests):
            self._read[split] = self._load(split)

    def _load(self, split: str) -> CutTable:
        tables = [CutTable.load(paths) for paths in _groups(given_manifest(self.manifests, split))]
        cuts = CutTable.joined(tables)
        keep, notes = self._usable(split, cuts, checks=split != "predict")
        if split == "train":
            self._source_of_cut = np.repeat(np.arange(len(tables)), [len(table) for table in tables])[keep]
        cuts = cuts.select(np.flatnonzero(keep))
        self._announce(split, cuts, notes)
        return cuts

    def _flaw(self, info: CutInfo) -> str | None:
        if self.tokenizer is None:
            raise UserError("SpeechData: set .tokenizer, or use it with a trainer whose model has one")
        try:
            self.tokenizer.encode(info.text)
        except ValueError as error:
            return str(error)
        return None

    def _sizes(self, cuts: CutTable) -> np.ndarray:
        return cuts.durations_s

    def _limits(self) -> tuple[float, float | None]:
        return self.details.min_duration_s, self.max_duration_s

    @property
    def sample_rate_hz(self) -> int:
        """The rate at which batches come."""
        if self.details.sample_rate_hz is not None:
            return self.details.sample_rate_hz
        return int(getattr(getattr(self._module, "features", None), "sample_rate_hz", 16000))

    def _sampler(self, split: str, cuts: CutTable) -> BucketBatchSampler | MixedBatchSampler:
        training = split == "train"
        budget = self.batch_seconds if training else self.details.eval_batch_seconds or self.batch_seconds
        rank, world_size = self._rank_and_size
        details = self.details
        common = (budget, self.batch_size, details.min_bucket_batches if training else 1, details.bucket_width)
        if training and (details.train_weights is not None or details.epoch_utterances is not None):
            return MixedBatchSampler(cuts.durations_s, self._sources(), *common, details.seed, rank, world_size)
        return BucketBatchSampler(cuts.durations_s, *common, training, details.seed, rank, world_size)

    def _sources(self) -> list[Source]:
        """What an epoch of training draws from each entry of ``train``."""
        count = len(_groups(self.manifests["train"] or []))
        members = [np.flatnonzero(self._source_of_cut == number) for number in range(count)]
        sizes = [len(each) for each in members]
        weights = sizes if self.details.train_weights is None else self.details.train_weights
        try:
            draws = shares(sizes, weights, self.details.epoch_utterances)
        except ValueError as error:
            raise UserError(f"data.init_args.details.train_weights: {error}") from None
        return [Source(*each) for each in zip(members, draws, strict=True)]

    def loader(self, split: str) -> ResumableLoader[SpeechBatch]:
        """The batches of a split that `setup` has read."""
        cuts = self._read[split]
        dataset = Utterances(
            cuts,
            self.tokenizer if split != "predict" else None,
            self.sample_rate_hz,
            substitute=split == "train",
            keep_audio=fits(cuts, self.sample_rate_hz, self.details.keep_audio_mb),
        )
        return self._skipping(split, dataset, self._sampler(split, cuts))


def _groups(given: Manifests) -> list[list[str]]:
    entries = [given] if isinstance(given, str) else given
    return [[entry] if isinstance(entry, str) else entry for entry in entries]
