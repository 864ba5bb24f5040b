"""Manifests of recordings and texts to batches for training and evaluation."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from s2s_core.data.loader import ResumableLoader
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError
from s2s_core.part import Part
from s2s_core.text.tokenizers import Tokenizer
from s2s_tts.interfaces import SpeechBatch
from s2s_tts.speakers import Speakers
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.utterances import Utterances

_log = logging.getLogger(__name__)

OnError = Literal["raise", "skip"]

_SPLITS_OF_STAGE = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
}
_LISTED = 20
"""Utterances left out that are named; the rest are counted."""


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


class SpeechSynthesisData(Part, LightningDataModule):
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
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer utterances to evaluate than processes
        if batch_frames < 1:
            raise ValueError(f"batch_frames must be positive, got {batch_frames}")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.manifests = {"train": train, "validation": validation, "test": test, "predict": predict}
        self.batch_frames = batch_frames
        self.batch_size = batch_size
        self.max_frames = max_frames
        self.num_workers = num_workers
        self.on_error: OnError = on_error
        self.details = details or SynthesisDetails()
        self.tokenizer: Tokenizer | None = None
        """These three are the model's, once a trainer is attached; set them by hand to use the loaders without one."""
        self.features: MelSpectrogram | None = None
        self.speakers: Speakers | None = None
        self.skipped: dict[str, list[str]] = {}
        """For each split, a line for each utterance that was left out since its last listing."""
        self._cuts: dict[str, CutTable] = {}

    def setup(self, stage: str) -> None:
        """Read the manifests of a stage, check their texts and speakers, and say what there is.

        Raises:
            UserError: if a manifest is not given, cannot be read or holds nothing usable.
        """
        module = self.trainer.lightning_module if self.trainer is not None else None
        if module is not None:
            self.tokenizer, self.features = module.tokenizer, module.features  # type: ignore[assignment]
            self.speakers = module.speakers  # type: ignore[assignment]
        if self.tokenizer is None or self.features is None:
            raise UserError("SpeechSynthesisData: set .tokenizer and .features, or use it with a trainer and a model")
        for split in _SPLITS_OF_STAGE[stage]:
            needless = stage == "fit" and split == "validation" and not self.manifests[split]
            if split not in self._cuts and not needless:
                self._cuts[split] = self._load(split)

    def _load(self, split: str) -> CutTable:
        given = self.manifests[split]
        if not given:
            hint = "any that `prepare` wrote will do" if split == "predict" else f"`prepare` writes {split}.jsonl.gz"
            raise UserError(f"data.init_args.{split}: no manifest given; {hint}")
        cuts = CutTable.load([given] if isinstance(given, str) else given)
        keep = np.ones(len(cuts), dtype=bool)
        notes = self._check_texts(split, cuts, keep)
        if split == "train":
            notes += self._leave_out_by_length(cuts, keep)
        if not keep.any():
            raise UserError(f"{given}: none of the {len(keep)} utterances is left ({'; '.join(notes)})")
        cuts = cuts.select(np.flatnonzero(keep))
        self._announce(split, cuts, notes)
        return cuts

    def _check_texts(self, split: str, cuts: CutTable, keep: np.ndarray) -> list[str]:
        assert self.tokenizer is not None
        for i in range(len(cuts)):
            info = cuts.info(i)
            try:
                self.tokenizer.encode(info.text)
                if self.speakers is not None:
                    self.speakers.index(info.speaker)
            except (ValueError, UserError) as error:
                keep[i] = False
                self._note_failures(split, [f"cut {info.id!r}: {error}"])
        self._list_skipped(split)
        failed = int((~keep).sum())
        return [f"{failed} with unknown characters or speakers left out"] if failed else []

    def _frames(self, cuts: CutTable) -> np.ndarray:
        assert self.features is not None
        return 1 + np.floor(cuts.durations_s * self.features.sample_rate_hz / self.features.hop_samples)

    def _leave_out_by_length(self, cuts: CutTable, keep: np.ndarray) -> list[str]:
        frames, notes = self._frames(cuts), []
        for which, limit, word in (
            (frames < self.details.min_frames, self.details.min_frames, "shorter"),
            (frames > (self.max_frames or np.inf), self.max_frames, "longer"),
        ):
            if (count := int((which & keep).sum())) > 0:
                notes.append(f"{count} {word} than {limit} frames left out")
            keep &= ~which
        return notes

    def _announce(self, split: str, cuts: CutTable, notes: list[str]) -> None:
        sampler = self._sampler(split, cuts)
        figures = [
            f"{len(cuts)} utterances",
            f"{cuts.durations_s.sum() / 3600:.2f} h",
            f"{sampler.batches_per_epoch} batches of up to {sampler.batch_total:g} frames",
            f"padding {100 * sampler.padding_waste():.1f} %",
        ]
        if self.trainer is None or self.trainer.is_global_zero:
            _log.info("%s: %s", split, ", ".join(figures + notes))

    @property
    def padding_waste(self) -> float:
        """The share of padding in the training batches' frames (epoch 0); 0 is none."""
        return self._sampler("train", self._cuts["train"]).padding_waste()

    def _sampler(self, split: str, cuts: CutTable) -> BucketBatchSampler:
        training = split == "train"
        budget = self.batch_frames if training else self.details.eval_batch_frames or self.batch_frames
        return BucketBatchSampler(
            self._frames(cuts),
            batch_total=budget,
            max_batch_size=self.batch_size,
            min_bucket_batches=self.details.min_bucket_batches if training else 1,
            bucket_width=self.details.bucket_width,
            shuffle=training,
            seed=self.details.seed,
            rank=self.trainer.global_rank if self.trainer is not None else 0,
            world_size=self.trainer.world_size if self.trainer is not None else 1,
        )

    def train_dataloader(self) -> ResumableLoader[SpeechBatch]:
        return self.loader("train")

    def val_dataloader(self) -> ResumableLoader[SpeechBatch] | list[ResumableLoader[SpeechBatch]]:
        return self.loader("validation") if "validation" in self._cuts else []

    def test_dataloader(self) -> ResumableLoader[SpeechBatch]:
        return self.loader("test")

    def predict_dataloader(self) -> ResumableLoader[SpeechBatch]:
        return self.loader("predict")

    def predict_ids(self) -> list[str]:
        """The utterances' names in the order of the predict manifest."""
        cuts = self._cuts["predict"]
        return [cuts.info(index).id for index in range(len(cuts))]

    def loader(self, split: str) -> ResumableLoader[SpeechBatch]:
        """The batches of a split that `setup` has read."""
        assert self.tokenizer is not None
        assert self.features is not None
        cuts, training = self._cuts[split], split == "train"
        rate = self.features.sample_rate_hz
        held = cuts.durations_s.sum() * rate * 4 <= self.details.keep_audio_mb * 2**20
        return ResumableLoader(
            Utterances(cuts, self.tokenizer, self.speakers, rate, substitute=training, keep_audio=held),
            self._sampler(split, cuts),
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
            on_failures=lambda failures: self._note_failures(split, failures),
            on_epoch_end=lambda: self._list_skipped(split),
            trained=self._trained if training and self.trainer is not None else None,
        )

    def _trained(self) -> tuple[int, int | float]:
        assert self.trainer is not None
        done: int = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
        return done, self.trainer.num_training_batches

    def teardown(self, stage: str) -> None:
        for split in list(self.skipped):
            self._list_skipped(split)

    def _note_failures(self, split: str, failures: list[str]) -> None:
        if self.on_error == "raise":
            raise UserError(f"{split}: {failures[0]} (data.init_args.on_error=skip leaves such utterances out)")
        self.skipped.setdefault(split, []).extend(failures)

    def _list_skipped(self, split: str) -> None:
        lines = self.skipped.pop(split, [])
        if lines:
            more = [f"... and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
            listing = "\n  ".join([f"{split}: {len(lines)} utterances left out:", *lines[:_LISTED], *more])
            _log.warning(listing)  # on every rank: each has left out its own
