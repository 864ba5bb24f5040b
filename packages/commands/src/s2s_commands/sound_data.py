"""Manifests of labelled recordings to batches for training and evaluation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from s2s_commands.balance import BalancedBatchSampler
from s2s_commands.classifier import Classifier
from s2s_commands.clip_batches import ClipBatches
from s2s_commands.interfaces import SoundBatch
from s2s_core.data.kept_audio import fits
from s2s_core.data.loader import ResumableLoader
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.skipping import OnError, SkippingData
from s2s_core.data.speech import CutTable
from s2s_core.data.utterance_data import given_manifest
from s2s_core.errors import UserError

_log = logging.getLogger(__name__)


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


class SoundData(SkippingData):
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

    examples: ClassVar[str] = "clips"

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
        super().__init__(num_workers, on_error)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if clips_per_class is not None and clips_per_class < 1:
            raise ValueError(f"clips_per_class must be at least 1, got {clips_per_class}")
        self.manifests = {"train": train, "validation": validation, "test": test, "predict": predict}
        self.batch_size = batch_size
        self.clips_per_class = clips_per_class
        self.classes = list(classes or [])
        """The names of the classes; known after `setup`."""
        self.details = details or SoundDetails()

    def setup(self, stage: str) -> None:
        """Read the manifests of a stage, agree with the model on the classes, and say what there is.

        Raises:
            UserError: if a manifest is not given, cannot be read, or holds a label that is no class.
        """
        module = self._module
        known = module.classes if isinstance(module, Classifier) else []
        if known and self.classes and known != self.classes:
            raise UserError(f"data.init_args.classes: {_few(self.classes)} here, {_few(known)} in the checkpoint")
        self.classes = known or self.classes
        for split in self._unread(stage, self.manifests):
            self._read[split] = self._load(split)
        if isinstance(module, Classifier):
            module.classes = self.classes

    def _load(self, split: str) -> _Split:
        given = given_manifest(self.manifests, split)
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
        if self._speaks:
            hours = cuts.durations_s.sum() / 3600
            _log.info("%s: %d clips of %d classes, %.2f h", split, len(cuts), len(set(labels)), hours)
        return _Split(cuts, [info.id for info in infos], numbers)

    @property
    def sample_rate_hz(self) -> int:
        """The rate at which batches come."""
        if self.details.sample_rate_hz is not None:
            return self.details.sample_rate_hz
        return int(getattr(getattr(self._module, "features", None), "sample_rate_hz", 16000))

    def _sampler(self, split: str) -> BucketBatchSampler:
        rank, world_size = self._rank_and_size
        labels = self._read[split].labels
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

    def predict_ids(self) -> list[str]:
        """The clips' names in the order of the predict manifest."""
        return self._read["predict"].names

    def loader(self, split: str) -> ResumableLoader[SoundBatch]:
        """The batches of a split that `setup` has read."""
        here: _Split = self._read[split]
        dataset = ClipBatches(
            here.cuts,
            here.names,
            here.labels,
            self.sample_rate_hz,
            substitute=split == "train",
            keep_audio=fits(here.cuts, self.sample_rate_hz, self.details.keep_audio_mb),
        )
        return self._skipping(split, dataset, self._sampler(split))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
