"""Manifests of labelled recordings to batches for training and evaluation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from s2s_commands.balance import BalancedBatchSampler
from s2s_commands.classifier import Classifier
from s2s_commands.clip_batches import ClipBatches
from s2s_commands.interfaces import SoundBatch
from s2s_core.data.loader import ResumableLoader
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError
from s2s_core.part import Part

_log = logging.getLogger(__name__)

OnError = Literal["raise", "skip"]

_SPLITS_OF_STAGE = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
}
_LISTED = 20
"""Clips left out that are named at the end of an epoch; the rest are counted."""


@dataclass
class SoundDetails:
    """What few users of `SoundData` change."""

    eval_batch_size: int | None = None
    """Of evaluation; that of training if None. It changes no result."""
    sample_rate_hz: int | None = None
    """Recordings at other rates are resampled to this; if None, to what the model's features expect, or 16000."""
    seed: int = 0
    """Of the order of training batches."""
    keep_audio_mb: int = 512
    """A split whose decoded audio fits in this much memory (per worker process) is decoded once."""


class _Split(NamedTuple):
    cuts: CutTable
    names: list[str]
    labels: np.ndarray


class SoundData(Part, LightningDataModule):
    """Batches of labelled clips from Lhotse manifests, whose supervisions' text is the label.

    The order of training batches is a function of seed and epoch, the same for any number of workers; a run resumed
    within an epoch goes on with the batch after the last one trained. Evaluation sees every clip exactly once,
    whatever the number of processes. The classes are the labels of the training manifest in alphabetical order, unless
    they are given or the model has them from a checkpoint.

    Args:
        train, validation, test, predict: manifests of Lhotse cuts (``.jsonl.gz``) or Lhotse Shar folders, one or
            several, as ``prepare`` writes them.
        batch_size: clips in a batch.
        clips_per_class: balanced training: each epoch has so many clips of each class. If None, an epoch is every clip
            once.
        classes: the names of the classes, in the order of their numbers.
        num_workers: processes that decode audio; 0 decodes in the training process.
        on_error: what to do with a clip whose recording cannot be read: ``raise``, or ``skip`` it, counted and listed
            at the end of the epoch.
        details: the rest.
    """

    def __init__(
        self,
        train: str | list[str] | None = None,
        validation: str | list[str] | None = None,
        test: str | list[str] | None = None,
        predict: str | list[str] | None = None,
        batch_size: int = 64,
        clips_per_class: int | None = None,
        classes: list[str] | None = None,
        num_workers: int = 0,
        on_error: OnError = "raise",
        details: SoundDetails | None = None,
    ) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer clips to evaluate than processes
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if clips_per_class is not None and clips_per_class < 1:
            raise ValueError(f"clips_per_class must be at least 1, got {clips_per_class}")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.manifests = {"train": train, "validation": validation, "test": test, "predict": predict}
        self.batch_size = batch_size
        self.clips_per_class = clips_per_class
        self.classes = list(classes or [])
        """The names of the classes; known after `setup`."""
        self.num_workers = num_workers
        self.on_error: OnError = on_error
        self.details = details or SoundDetails()
        self.skipped: dict[str, list[str]] = {}
        """For each split, a line for each clip that was left out since its last listing."""
        self._splits: dict[str, _Split] = {}

    def setup(self, stage: str) -> None:
        """Read the manifests of a stage, agree with the model on the classes, and say what there is.

        Raises:
            UserError: if a manifest is not given, cannot be read, or holds a label that is no class.
        """
        module = self.trainer.lightning_module if self.trainer is not None else None
        known = module.classes if isinstance(module, Classifier) else []
        if known and self.classes and known != self.classes:
            raise UserError(f"data.init_args.classes: {_few(self.classes)} here, {_few(known)} in the checkpoint")
        self.classes = known or self.classes
        for split in _SPLITS_OF_STAGE[stage]:
            needless = stage == "fit" and split == "validation" and not self.manifests[split]
            if split not in self._splits and not needless:
                self._splits[split] = self._load(split)
        if isinstance(module, Classifier):
            module.classes = self.classes

    def _load(self, split: str) -> _Split:
        given = self.manifests[split]
        if not given:
            hint = "any that `prepare` wrote will do" if split == "predict" else f"`prepare` writes {split}.jsonl.gz"
            raise UserError(f"data.init_args.{split}: no manifest given; {hint}")
        cuts = CutTable.load([given] if isinstance(given, str) else given)
        infos = [cuts.info(index) for index in range(len(cuts))]
        labels = [info.text for info in infos]
        if split == "train" and "" in labels:
            raise UserError(f"{given}: cut {infos[labels.index('')].id!r} has no label")
        if not self.classes:
            self.classes = sorted(set(labels) - {""})
        number = {name: place for place, name in enumerate(self.classes)}
        unknown = [info for info in infos if info.text and info.text not in number]
        if unknown and split != "predict":
            name, label = unknown[0].id, unknown[0].text
            raise UserError(f"{given}: cut {name!r} is labelled {label!r}, none of the classes {_few(self.classes)}")
        numbers = np.array([number.get(label, -1) for label in labels])
        if self.trainer is None or self.trainer.is_global_zero:
            hours = cuts.durations_s.sum() / 3600
            _log.info("%s: %d clips of %d classes, %.2f h", split, len(cuts), len(set(labels)), hours)
        return _Split(cuts, [info.id for info in infos], numbers)

    @property
    def sample_rate_hz(self) -> int:
        """The rate at which batches come."""
        if self.details.sample_rate_hz is not None:
            return self.details.sample_rate_hz
        module = self.trainer.lightning_module if self.trainer is not None else None
        return int(getattr(getattr(module, "features", None), "sample_rate_hz", 16000))

    def _sampler(self, split: str) -> BucketBatchSampler:
        rank = self.trainer.global_rank if self.trainer is not None else 0
        world_size = self.trainer.world_size if self.trainer is not None else 1
        labels = self._splits[split].labels
        training = split == "train"
        if training and self.clips_per_class is not None:
            return BalancedBatchSampler(
                labels, self.clips_per_class, self.batch_size, self.details.seed, rank, world_size
            )
        size = self.batch_size if training else self.details.eval_batch_size or self.batch_size
        # equal lengths: clips are of about a second, and batches by length would be batches by word
        return BucketBatchSampler(
            np.ones(len(labels)),
            size,
            size,
            shuffle=training,
            seed=self.details.seed,
            rank=rank,
            world_size=world_size,
        )

    def train_dataloader(self) -> ResumableLoader[SoundBatch]:
        return self.loader("train")

    def val_dataloader(self) -> ResumableLoader[SoundBatch] | list[ResumableLoader[SoundBatch]]:
        return self.loader("validation") if "validation" in self._splits else []

    def test_dataloader(self) -> ResumableLoader[SoundBatch]:
        return self.loader("test")

    def predict_dataloader(self) -> ResumableLoader[SoundBatch]:
        return self.loader("predict")

    def predict_ids(self) -> list[str]:
        """The clips' names in the order of the predict manifest."""
        return self._splits["predict"].names

    def loader(self, split: str) -> ResumableLoader[SoundBatch]:
        """The batches of a split that `setup` has read."""
        here = self._splits[split]
        training = split == "train"
        megabytes = here.cuts.durations_s.sum() * self.sample_rate_hz * 4 / 2**20
        dataset = ClipBatches(
            here.cuts,
            here.names,
            here.labels,
            self.sample_rate_hz,
            substitute=training,
            keep_audio=megabytes <= self.details.keep_audio_mb,
        )
        return ResumableLoader(
            dataset,
            self._sampler(split),
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
            raise UserError(f"{split}: {failures[0]} (data.init_args.on_error=skip leaves such clips out)")
        self.skipped.setdefault(split, []).extend(failures)

    def _list_skipped(self, split: str) -> None:
        lines = self.skipped.pop(split, [])
        if lines:
            more = [f"... and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
            listing = "\n  ".join([f"{split}: {len(lines)} clips left out:", *lines[:_LISTED], *more])
            _log.warning(listing)  # on every rank: each has left out its own


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
