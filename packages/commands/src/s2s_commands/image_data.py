"""Folders and manifests of pictures to batches for training and evaluation."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from s2s_commands.image_augment import ImageAugment
from s2s_commands.image_batches import EpochSampler, Images
from s2s_commands.image_table import ImageRow, classes_of, load_rows
from s2s_commands.image_task import ImageClassification
from s2s_commands.image_view import ImageView
from s2s_commands.interfaces import ImageBatch
from s2s_core.data.loader import ResumableLoader
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
"""Pictures left out that are named at the end of an epoch; the rest are counted."""


@dataclass
class ImageDetails:
    """What few users of `ImageData` change."""

    eval_batch_size: int | None = None
    """Of evaluation; that of training if None. It changes no result."""
    seed: int = 0
    """Of the order of training batches and of the augmentation."""


class ImageData(Part, LightningDataModule):
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
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer pictures to evaluate than processes
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.sources = {"train": train, "validation": validation, "test": test, "predict": predict}
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.on_error: OnError = on_error
        self.details = details or ImageDetails()
        self.view = ImageView()
        """The model's, once a trainer is attached."""
        self.augment: ImageAugment | None = None
        """The model's, once a trainer is attached."""
        self.classes: list[str] = []
        """Names by number: the model's if it has been trained, else the training pictures'."""
        self.skipped: dict[str, list[str]] = {}
        """For each split, a line for each picture that was left out since its last listing."""
        self._rows: dict[str, list[ImageRow]] = {}

    def setup(self, stage: str) -> None:
        """List the pictures of a stage, agree with the model on the classes, and say what there is.

        Raises:
            UserError: if a source is not given, absent or empty, or an evaluated picture's class is unknown.
        """
        module = self.trainer.lightning_module if self.trainer is not None else None
        if isinstance(module, ImageClassification):
            self.view, self.augment, self.classes = module.view, module.augment, module.classes
        for split in _SPLITS_OF_STAGE[stage]:
            needless = stage == "fit" and split == "validation" and not self.sources[split]
            if split not in self._rows and not needless:
                self._rows[split] = self._load(split)
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
        if self.trainer is None or self.trainer.is_global_zero:
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
        return EpochSampler(
            np.ones(len(rows)),
            batch_total=self.batch_size if training else self.details.eval_batch_size or self.batch_size,
            shuffle=training,
            seed=self.details.seed,
            rank=self.trainer.global_rank if self.trainer is not None else 0,
            world_size=self.trainer.world_size if self.trainer is not None else 1,
        )

    def train_dataloader(self) -> ResumableLoader[ImageBatch]:
        return self.loader("train")

    def val_dataloader(self) -> ResumableLoader[ImageBatch] | list[ResumableLoader[ImageBatch]]:
        return self.loader("validation") if "validation" in self._rows else []

    def test_dataloader(self) -> ResumableLoader[ImageBatch]:
        return self.loader("test")

    def predict_dataloader(self) -> ResumableLoader[ImageBatch]:
        return self.loader("predict")

    def predict_ids(self) -> list[str]:
        """The pictures' names in the order of the predict source."""
        return [row.name for row in self._rows["predict"]]

    def loader(self, split: str) -> ResumableLoader[ImageBatch]:
        """The batches of a split that `setup` has read."""
        rows = self._rows[split]
        training = split == "train"
        augment = self.augment if training else None
        return ResumableLoader(
            Images(rows, self.classes, self.view, augment, self.details.seed, training),
            self._sampler(split, rows),
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
            raise UserError(f"{split}: {failures[0]} (data.init_args.on_error=skip leaves such pictures out)")
        self.skipped.setdefault(split, []).extend(failures)

    def _list_skipped(self, split: str) -> None:
        lines = self.skipped.pop(split, [])
        if lines:
            more = [f"... and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
            listing = "\n  ".join([f"{split}: {len(lines)} pictures left out:", *lines[:_LISTED], *more])
            _log.warning(listing)  # on every rank: each has left out its own
