"""Data of transcribed recordings: read, rid of what cannot be used, and announced."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from s2s_core.data.sampling import BatchSampler
from s2s_core.data.skipping import OnError, SkippingData
from s2s_core.data.speech import CutInfo, CutTable
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import Tokenizer

_log = logging.getLogger(__name__)


def given_manifest(manifests: Mapping[str, Any], split: str) -> Any:
    """What the config gives for a split.

    Raises:
        UserError: if it gives nothing.
    """
    given = manifests.get(split)
    if not given:
        hint = "any that `prepare` wrote will do" if split == "predict" else f"`prepare CORPUS` writes {split}.jsonl.gz"
        raise UserError(f"data.init_args.{split}: no manifest given; {hint}")
    return given


class UtteranceData(SkippingData):
    """Splits of Lhotse manifests whose texts a tokenizer reads.

    Args:
        manifests: by split, what the config gives.
        num_workers, on_error: see `SkippingData`.
    """

    examples: ClassVar[str] = "utterances"
    flaws: ClassVar[str] = "unknown characters"
    """What `_flaw` finds, in words."""
    unit: ClassVar[str]
    """Of `_sizes`."""

    def __init__(self, manifests: Mapping[str, Any], num_workers: int, on_error: OnError) -> None:
        super().__init__(num_workers, on_error)
        self.manifests = dict(manifests)
        self.tokenizer: Tokenizer | None = None
        """The model's, once a trainer is attached; set it by hand to use the loaders without one."""

    @abstractmethod
    def _flaw(self, info: CutInfo) -> str | None:
        """Why the model can make nothing of an utterance's text or speaker."""

    @abstractmethod
    def _sizes(self, cuts: CutTable) -> np.ndarray:
        """What batches are measured by, ``(cuts,)``."""

    @abstractmethod
    def _limits(self) -> tuple[float, float | None]:
        """The least and the largest size that is trained on."""

    @abstractmethod
    def _sampler(self, split: str, cuts: CutTable) -> BatchSampler: ...

    def _usable(self, split: str, cuts: CutTable, checks: bool = True) -> tuple[np.ndarray, list[str]]:
        """Which cuts can be used, a bool each, and notes of how many cannot."""
        keep = np.ones(len(cuts), dtype=bool)
        notes = self._leave_out_flawed(split, cuts, keep) if checks else []
        if split == "train":
            notes += self._leave_out_by_size(cuts, keep)
        if not keep.any():
            raise UserError(f"{self.manifests[split]}: none of the {len(keep)} utterances is left ({'; '.join(notes)})")
        return keep, notes

    def _leave_out_flawed(self, split: str, cuts: CutTable, keep: np.ndarray) -> list[str]:
        for i in range(len(cuts)):
            info = cuts.info(i)
            flaw = self._flaw(info)
            if flaw is not None:
                keep[i] = False
                self._note_failures(split, [f"cut {info.id!r}: {flaw}"])
        self._list_skipped(split)
        failed = int((~keep).sum())
        return [f"{failed} with {self.flaws} left out"] if failed else []

    def _leave_out_by_size(self, cuts: CutTable, keep: np.ndarray) -> list[str]:
        sizes, notes = self._sizes(cuts), []
        least, largest = self._limits()
        shorter, longer = sizes < least, sizes > (np.inf if largest is None else largest)
        for which, limit, word in ((shorter, least, "shorter"), (longer, largest, "longer")):
            if (count := int((which & keep).sum())) > 0:
                notes.append(f"{count} {word} than {limit:g} {self.unit} left out")
            keep &= ~which
        return notes

    def _announce(self, split: str, cuts: CutTable, notes: list[str]) -> None:
        sampler: Any = self._sampler(split, cuts)
        figures = [
            f"{len(cuts)} utterances",
            f"{cuts.durations_s.sum() / 3600:.2f} h",
            *([f"an epoch draws {' + '.join(map(str, sampler.draws))}"] if hasattr(sampler, "draws") else []),
            f"{sampler.batches_per_epoch} batches of up to {sampler.batch_total:g} {self.unit}",
            f"padding {100 * sampler.padding_waste():.1f} %",
        ]
        if self._speaks:
            _log.info("%s: %s", split, ", ".join(figures + notes))

    @property
    def padding_waste(self) -> float:
        """The share of padding in the training batches (epoch 0); 0 is none."""
        return self._sampler("train", self._read["train"]).padding_waste()

    def predict_ids(self) -> list[str]:
        """The utterances' names in the order of the predict manifest."""
        cuts = self._read["predict"]
        return [cuts.info(index).id for index in range(len(cuts))]
