"""Data of which some examples cannot be used: they are named, and either end the run or are left out."""

from __future__ import annotations

import logging
from typing import Any, ClassVar, Literal

from torch.utils.data import Dataset

from s2s_core.data.loader import ResumableLoader
from s2s_core.data.sampling import BatchSampler
from s2s_core.data.splits import SplitData
from s2s_core.errors import UserError

_log = logging.getLogger(__name__)

OnError = Literal["raise", "skip"]
LISTED = 20
"""Examples left out that are named at the end of an epoch; the rest are counted."""


class SkippingData(SplitData):
    """Splits whose examples may be unreadable.

    Args:
        num_workers: see `SplitData`.
        on_error: what to do with an example that cannot be used: ``raise``, or ``skip`` it, counted and listed at the
            end of the epoch.

    Raises:
        ValueError: for another word.
    """

    examples: ClassVar[str]
    """What they are called."""

    def __init__(self, num_workers: int = 0, on_error: OnError = "raise") -> None:
        super().__init__(num_workers)
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.on_error: OnError = on_error
        self.skipped: dict[str, list[str]] = {}
        """For each split, a line for each example that was left out since its last listing."""

    def teardown(self, stage: str) -> None:
        for split in list(self.skipped):
            self._list_skipped(split)

    def _skipping(self, split: str, dataset: Dataset[Any], sampler: BatchSampler) -> ResumableLoader[Any]:
        return self._resumable(
            split,
            dataset,
            sampler,
            on_failures=lambda failures: self._note_failures(split, failures),
            on_epoch_end=lambda: self._list_skipped(split),
        )

    def _note_failures(self, split: str, failures: list[str]) -> None:
        if self.on_error == "raise":
            hint = f"data.init_args.on_error=skip leaves such {self.examples} out"
            raise UserError(f"{split}: {failures[0]} ({hint})")
        self.skipped.setdefault(split, []).extend(failures)

    def _list_skipped(self, split: str) -> None:
        lines = self.skipped.pop(split, [])
        if lines:
            more = [f"... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
            listing = "\n  ".join([f"{split}: {len(lines)} {self.examples} left out:", *lines[:LISTED], *more])
            _log.warning(listing)  # on every rank: each has left out its own
