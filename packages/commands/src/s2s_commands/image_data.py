"""Folders and manifests of pictures to batches for training and evaluation."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from s2s_commands.image_augment import ImageAugment
from s2s_commands.image_batches import EpochSampler, Images
from s2s_commands.image_table import ImageRow, classes_of, load_rows
from s2s_commands.image_task import ImageClassification
from s2s_commands.image_view import ImageView
from s2s_commands.interfaces import ImageBatch
from s2s_core.data.loader import ResumableLoader
from s2s_core.data.skipping import OnError, SkippingData
from s2s_core.errors import UserError

_log = logging.getLogger(__name__)


@dataclass
class ImageDetails:
    """What few users of `ImageData` change."""

    eval_batch_size: int | None = None
    """Of evaluation; that of training if None. It changes no result."""
    seed: int = 0
    """Of the order of training batches and of the augmentation."""


class ImageData(SkippingData):
    """Batches of pictures from folders with a subfolder a class, or from manifests that ``prepare`` wrote.

    The order of training batches is a function of seed and epoch, and what is done to a picture one of seed, epoch and
    the picture's number: the same for any number of workers. A run resumed within an epoch goes on with the batch after
    the last one trained. Evaluation sees every picture exactly once, whatever the number of processes.

    Size, scale and augmentation are the model's (``view`` and ``augment``). The classes are those of the training
    pictures, in the order of their names; a trained model brings its own.

    Args:
        train, validation, test, predict: folders of classes or manifests (``.jsonl.gz``), one or several. ``predict``
            may be a folder of pictures without labels.
        batch_size: pictures in a batch, for each process.
        num_workers: processes that decode and augment; 0 does it in the training process.
        on_error: what to do with a picture that cannot be read: ``raise``, or ``skip`` it, counted and listed at the
            end of the epoch. A training batch of which nothing is left is replaced by the next picture that can be.
        details: the rest.
    """

    examples: ClassVar[str] = "pictures"

    def __init__(
        self,
        train: str | list[str] | None = None,
        validation: str | list[str] | None = None,
        test: str | list[str] | None = None,
        predict: str | list[str] | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        on_error: OnError = "raise",
        details: ImageDetails | None = None,
    ) -> None:
        super().__init__(num_workers, on_error)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.sources = {"train": train, "validation": validation, "test": test, "predict": predict}
        self.batch_size = batch_size
        self.details = details or ImageDetails()
        self.view = ImageView()
        """The model's, once a trainer is attached."""
        self.augment: ImageAugment | None = None
        """The model's, once a trainer is attached."""
        self.classes: list[str] = []
        """Names by number: the model's if it has been trained, else the training pictures'."""

    def setup(self, stage: str) -> None:
        """List the pictures of a stage, agree with the model on the classes, and say what there is.

        Raises:
            UserError: if a source is not given, absent or empty, or an evaluated picture's class is unknown.
        """
        module = self._module
        if isinstance(module, ImageClassification):
            self.view, self.augment, self.classes = module.view, module.augment, module.classes
        for split in self._unread(stage, self.sources):
            self._read[split] = self._load(split)
        if isinstance(module, ImageClassification):
            module.classes = self.classes

    def _load(self, split: str) -> list[ImageRow]:
        given = self.sources[split]
        if not given:
            raise UserError(f"data.init_args.{split}: no folder or manifest given")
        rows = load_rows([given] if isinstance(given, str) else given)
        if split == "train" and not self.classes:
            self.classes = classes_of(rows)
        if split != "predict":
            self._check_labels(rows, given)
        counted = f"{len(rows)} pictures of {len(classes_of(rows))} classes, {len(self._sampler(split, rows))} batches"
        if self._speaks:
            _log.info("%s: %s", split, counted)
        return rows

    def _check_labels(self, rows: list[ImageRow], given: str | list[str]) -> None:
        known = set(self.classes)
        for row in rows:
            if row.label is None:
                raise UserError(f"{row.path}: has no class; expected a subfolder a class in {given}")
            if row.label not in known:
                have = f"{', '.join(self.classes[:12])}{' ...' if len(self.classes) > 12 else ''}"
                raise UserError(f"{row.path}: its class {row.label!r} is none of the model's {len(known)}: {have}")

    def _sampler(self, split: str, rows: list[ImageRow]) -> EpochSampler:
        training = split == "train"
        rank, world_size = self._rank_and_size
        return EpochSampler(
            np.ones(len(rows)),
            batch_total=self.batch_size if training else self.details.eval_batch_size or self.batch_size,
            shuffle=training,
            seed=self.details.seed,
            rank=rank,
            world_size=world_size,
        )

    def predict_ids(self) -> list[str]:
        """The pictures' names in the order of the predict source."""
        return [row.name for row in self._read["predict"]]

    def loader(self, split: str) -> ResumableLoader[ImageBatch]:
        """The batches of a split that `setup` has read."""
        rows, training = self._read[split], split == "train"
        augment = self.augment if training else None
        images = Images(rows, self.classes, self.view, augment, self.details.seed, training)
        return self._skipping(split, images, self._sampler(split, rows))
