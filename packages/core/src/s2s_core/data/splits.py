"""Data in splits: what every data module does alike, whatever its examples are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import Dataset

from s2s_core.data.loader import ResumableLoader
from s2s_core.data.sampling import BatchSampler
from s2s_core.part import Part

SPLITS_OF_STAGE = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
}


class SplitData(Part, LightningDataModule):
    """Reads the splits that a stage wants, and hands a loader of each to the trainer.

    A data module says in `setup` how a split is read, and keeps it in ``_read``; `loader` makes its batches.

    Args:
        num_workers: processes that make batches; 0 makes them in the training process.
    """

    def __init__(self, num_workers: int = 0) -> None:
        super().__init__()
        self.num_workers = num_workers
        self._read: dict[str, Any] = {}
        """What `setup` has read, by split."""

    @abstractmethod
    def loader(self, split: str) -> Any:
        """The batches of a split that `setup` has read."""

    def train_dataloader(self) -> Any:
        return self.loader("train")

    def val_dataloader(self) -> Any:
        return self.loader("validation") if "validation" in self._read else []

    def test_dataloader(self) -> Any:
        return self.loader("test")

    def predict_dataloader(self) -> Any:
        return self.loader("predict")

    def _unread(self, stage: str, given: Mapping[str, Any]) -> list[str]:
        """The splits of a stage that are still to be read; a fit can do without validation."""
        splits = [split for split in SPLITS_OF_STAGE[stage] if split not in self._read]
        return [split for split in splits if given.get(split) or not (stage == "fit" and split == "validation")]

    @property
    def _module(self) -> Any:
        """The trainer's model; None without a trainer."""
        return self.trainer.lightning_module if self.trainer is not None else None

    @property
    def _rank_and_size(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    @property
    def _speaks(self) -> bool:
        """Whether this process says what all of them do."""
        return self.trainer is None or self.trainer.is_global_zero

    def _progress(self, split: str) -> Callable[[], tuple[int, int | float]] | None:
        """What a loader's ``trained`` is to be, see `ResumableLoader`."""
        return self._trained if split == "train" and self.trainer is not None else None

    def _trained(self) -> tuple[int, int | float]:
        assert self.trainer is not None
        done: int = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
        return done, self.trainer.num_training_batches

    def _resumable(
        self,
        split: str,
        dataset: Dataset[Any],
        sampler: BatchSampler,
        on_failures: Callable[[list[str]], None] | None = None,
        on_epoch_end: Callable[[], None] | None = None,
    ) -> ResumableLoader[Any]:
        return ResumableLoader(
            dataset,
            sampler,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
            on_failures=on_failures,
            on_epoch_end=on_epoch_end,
            trained=self._progress(split),
        )
