"""Manifests of recordings and texts to batches for training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from s2s_core.data.kept_audio import fits
from s2s_core.data.loader import ResumableLoader
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.skipping import OnError
from s2s_core.data.speech import CutInfo, CutTable
from s2s_core.data.utterance_data import UtteranceData, given_manifest
from s2s_core.errors import UserError
from s2s_tts.interfaces import SpeechBatch
from s2s_tts.speakers import Speakers
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.utterances import Utterances


@dataclass
class SynthesisDetails:
    """What few users of `SpeechSynthesisData` change."""

    eval_batch_frames: int | None = None
    """Budget of a batch in evaluation; that of training if None. It changes no result."""
    min_frames: int = 24
    """Shorter training utterances are left out."""
    min_bucket_batches: int = 2
    bucket_width: float = 0.05
    """See `BucketBatchSampler`."""
    seed: int = 0
    """Of the order of training batches."""
    keep_audio_mb: int = 512
    """A split whose decoded audio fits in this much memory (per worker process) is decoded once."""


class SpeechSynthesisData(UtteranceData):
    """Batches of utterances of like length from Lhotse manifests, under a budget of padded spectrogram frames.

    The order of training batches is a function of seed and epoch; a run resumed within an epoch goes on with the batch
    after the last one trained. Evaluation sees every utterance exactly once.

    Args:
        train, validation, test, predict: manifests of Lhotse cuts (``.jsonl.gz``) or Lhotse Shar folders, one or
            several, as ``prepare`` writes them.
        batch_frames: the most spectrogram frames in a batch, padding included.
        batch_size: the most utterances in a batch.
        max_frames: longer training utterances are left out.
        num_workers: processes that decode audio; 0 decodes in the training process.
        on_error: what to do with an utterance whose recording cannot be read, whose text has unknown characters or
            whose speaker is unknown: ``raise``, or ``skip`` it, counted and listed.
        details: the rest.
    """

    flaws: ClassVar[str] = "unknown characters or speakers"
    unit: ClassVar[str] = "frames"

    def __init__(
        self,
        train: str | list[str] | None = None,
        validation: str | list[str] | None = None,
        test: str | list[str] | None = None,
        predict: str | list[str] | None = None,
        batch_frames: int = 16000,
        batch_size: int | None = None,
        max_frames: int | None = None,
        num_workers: int = 0,
        on_error: OnError = "raise",
        details: SynthesisDetails | None = None,
    ) -> None:
        manifests = {"train": train, "validation": validation, "test": test, "predict": predict}
        super().__init__(manifests, num_workers, on_error)
        if batch_frames < 1:
            raise ValueError(f"batch_frames must be positive, got {batch_frames}")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.batch_frames = batch_frames
        self.batch_size = batch_size
        self.max_frames = max_frames
        self.details = details or SynthesisDetails()
        self.features: MelSpectrogram | None = None
        """These two are the model's as the tokenizer is."""
        self.speakers: Speakers | None = None

    def setup(self, stage: str) -> None:
        """Read the manifests of a stage, check their texts and speakers, and say what there is.

        Raises:
            UserError: if a manifest is not given, cannot be read or holds nothing usable.
        """
        if self._module is not None:
            self.tokenizer, self.features = self._module.tokenizer, self._module.features
            self.speakers = self._module.speakers
        if self.tokenizer is None or self.features is None:
            raise UserError("SpeechSynthesisData: set .tokenizer and .features, or use it with a trainer and a model")
        for split in self._unread(stage, self.manifests):
            self._read[split] = self._load(split)

    def _load(self, split: str) -> CutTable:
        given = given_manifest(self.manifests, split)
        cuts = CutTable.load([given] if isinstance(given, str) else given)
        keep, notes = self._usable(split, cuts)
        cuts = cuts.select(np.flatnonzero(keep))
        self._announce(split, cuts, notes)
        return cuts

    def _flaw(self, info: CutInfo) -> str | None:
        assert self.tokenizer is not None
        try:
            self.tokenizer.encode(info.text)
            if self.speakers is not None:
                self.speakers.index(info.speaker)
        except (ValueError, UserError) as error:
            return str(error)
        return None

    def _sizes(self, cuts: CutTable) -> np.ndarray:
        assert self.features is not None
        return 1 + np.floor(cuts.durations_s * self.features.sample_rate_hz / self.features.hop_samples)

    def _limits(self) -> tuple[float, float | None]:
        return self.details.min_frames, self.max_frames

    def _sampler(self, split: str, cuts: CutTable) -> BucketBatchSampler:
        training = split == "train"
        budget = self.batch_frames if training else self.details.eval_batch_frames or self.batch_frames
        rank, world_size = self._rank_and_size
        return BucketBatchSampler(
            self._sizes(cuts),
            batch_total=budget,
            max_batch_size=self.batch_size,
            min_bucket_batches=self.details.min_bucket_batches if training else 1,
            bucket_width=self.details.bucket_width,
            shuffle=training,
            seed=self.details.seed,
            rank=rank,
            world_size=world_size,
        )

    def loader(self, split: str) -> ResumableLoader[SpeechBatch]:
        """The batches of a split that `setup` has read."""
        assert self.tokenizer is not None
        assert self.features is not None
        cuts, rate = self._read[split], self.features.sample_rate_hz
        held = fits(cuts, rate, self.details.keep_audio_mb)
        dataset = Utterances(cuts, self.tokenizer, self.speakers, rate, substitute=split == "train", keep_audio=held)
        return self._skipping(split, dataset, self._sampler(split, cuts))
