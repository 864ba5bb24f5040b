"""Batches from worker processes, in an order that does not depend on them and can be taken up again anywhere."""

from __future__ import annotations

import dataclasses
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from s2s_core.data.position import position
from s2s_core.data.sampling import BatchSampler
from s2s_core.errors import UserError

Batch = TypeVar("Batch")


@dataclass
class Loaded(Generic[Batch]):
    """What a dataset hands over: a batch, and a line for each item that could not be loaded."""

    batch: Batch | None
    """A dataclass; None if no item could be loaded."""
    failures: list[str] = field(default_factory=list)
    fatal: str | None = None
    """Why loading cannot go on, if it cannot."""

    def pin_memory(self) -> Loaded[Batch]:
        """Called by torch's pinning thread, which does not look into dataclasses."""
        if self.batch is None:
            return self
        fields = {f.name: getattr(self.batch, f.name) for f in dataclasses.fields(self.batch)}  # type: ignore[arg-type]
        pinned = {name: value.pin_memory() for name, value in fields.items() if isinstance(value, torch.Tensor)}
        return Loaded(dataclasses.replace(self.batch, **pinned), self.failures)  # type: ignore[type-var]


class ResumableLoader(Generic[Batch]):
    """Loads the batches that a `BatchSampler` plans; remembers how many the trainer has really used.

    Lightning keeps `state_dict` in its checkpoints and hands it back before the first batch of a resumed run. What
    counts as used is what ``trained`` says (batches whose step is done), never what workers have fetched ahead or
    what was handed over when the run was killed. A position at the end of an epoch is the start of the next one.

    It is not a `torch.utils.data.DataLoader`, so that Lightning leaves its sampler alone. Iteration begins lazily,
    after Lightning has called ``sampler.set_epoch``.

    Args:
        dataset: its ``__getitems__`` takes a list of indices and returns a `Loaded` batch. It returns its failures
            instead of raising them, because an error from a worker process arrives wrapped in a traceback.
        sampler: the plan.
        num_workers: processes that prepare batches; 0 prepares them in this one. They are started once, and end
            with the run or with this.
        pin_memory: for faster copies to a CUDA device.
        on_failures: called in this process with each batch's failures, if it has any; may raise.
        on_epoch_end: called in this process when an epoch's last batch has been loaded.
        trained: returns ``(done, whole)``: batches of the current epoch whose training step is done, and batches
            that the trainer takes for a whole epoch. Without it, a batch counts when it is handed over.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        sampler: BatchSampler,
        num_workers: int = 0,
        pin_memory: bool = False,
        on_failures: Callable[[list[str]], None] | None = None,
        on_epoch_end: Callable[[], None] | None = None,
        trained: Callable[[], tuple[int, int | float]] | None = None,
    ) -> None:
        self.dataset = dataset
        self.sampler = self.batch_sampler = sampler  # Lightning looks for both names
        self._on_failures = on_failures
        self._on_epoch_end = on_epoch_end
        self._trained = trained
        self._handed_over = (0, 0)
        self._loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=num_workers,
            collate_fn=_as_is,  # type: ignore[arg-type]
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            generator=torch.Generator(),  # else each epoch's start would draw from the global one
        )
        # torch's iterator ends its workers itself, but in a cycle its queues may be closed before: 5 s a worker then
        weakref.finalize(self, _end_workers, self._loader, os.getpid())

    @property
    def _iterator(self) -> Any:
        """The worker processes. Lightning looks for it at the end of a run, ends them and sets it to None."""
        return self._loader._iterator

    @_iterator.setter
    def _iterator(self, iterator: Any) -> None:
        self._loader._iterator = iterator

    def __len__(self) -> int:
        """This rank's batches in a whole epoch, but at least 1: a trainer leaves an evaluation's end out on a rank that
        is promised none, and the others then wait for its part of a metric."""
        return max(1, len(self.sampler))

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the sampler's position to the end of its epoch.

        Raises:
            UserError: what the dataset says is fatal.
        """
        epoch, done = self.sampler.epoch, self.sampler.start
        self._handed_over = (epoch, done)
        for loaded in self._loader:
            done += 1
            self._handed_over = (epoch, done)
            if loaded.fatal is not None:
                raise UserError(loaded.fatal)
            if loaded.failures and self._on_failures is not None:
                self._on_failures(loaded.failures)
            if done == len(self.sampler) and self._on_epoch_end is not None:
                self._on_epoch_end()
            if loaded.batch is not None:
                yield loaded.batch

    def state_dict(self) -> dict[str, int]:
        """The position, and a fingerprint of the plan that it is a position in."""
        begun = (self.sampler.epoch, self.sampler.start)
        epoch, batches = position(*begun, self._handed_over, len(self), self._trained)
        return {"epoch": epoch, "batches": batches, "plan": self.sampler.fingerprint()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take up a position of `state_dict`.

        Raises:
            UserError: if it lies within an epoch that was planned from other data, budget, seed or world size.
        """
        if state["batches"] and state["plan"] != self.sampler.fingerprint():
            raise UserError(
                "the checkpoint was written in the middle of an epoch over other batches: resume it with the same "
                "training data, batch size, seed and number of processes, or from the end of an epoch"
            )
        self.sampler.load_state_dict(state)


def _end_workers(loader: DataLoader[Any], process: int) -> None:
    # a worker of another loader, forked from the process, may find a copy of this one to collect
    if os.getpid() == process and isinstance(loader._iterator, _MultiProcessingDataLoaderIter):
        loader._iterator._shutdown_workers()


def _as_is(loaded: Loaded[Batch]) -> Loaded[Batch]:
    return loaded
