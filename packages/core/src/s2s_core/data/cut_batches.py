"""Cuts to batches: what a loader asks for by index, with what cannot be read left out and named."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, TypeVar

from torch import Tensor
from torch.utils.data import Dataset

from s2s_core.data.kept_audio import KeptAudio
from s2s_core.data.loader import Loaded
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError

Batch = TypeVar("Batch")

_SUBSTITUTES = 32
"""Cuts tried in place of a batch that cannot be read."""


class CutBatches(Dataset[Loaded[Batch]]):
    """Loads whole batches by their cuts' indices.

    Args:
        cuts: the recordings.
        sample_rate_hz: of the batches' audio.
        substitute: where no cut of a batch can be read, take the next one in the table that can, because all
            ranks need the same number of training batches; otherwise there is no batch.
        keep_audio: keep what is decoded for the next epoch.
    """

    example: ClassVar[str] = "utterance"
    """What a cut is called."""

    def __init__(self, cuts: CutTable, sample_rate_hz: int, substitute: bool = False, keep_audio: bool = False) -> None:
        self.cuts = cuts
        self.sample_rate_hz = sample_rate_hz
        self.substitute = substitute
        self._audio = KeptAudio(cuts, sample_rate_hz, keep_audio)

    @abstractmethod
    def collate(self, found: list[tuple[int, Tensor]]) -> Batch:
        """Make a batch of cuts, by their indices, and their audio ``(samples,)``."""

    def __len__(self) -> int:
        return len(self.cuts)

    def __getitem__(self, index: int) -> Loaded[Batch]:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Loaded[Batch]:
        failures: list[str] = []
        found = self._readable(indices, failures)
        if not found and self.substitute:
            found = self._substitute(indices[0])
            if not found:
                return Loaded(None, fatal=f"no {self.example} of a batch can be read, nor any after it; {failures[-1]}")
        return Loaded(self.collate(found) if found else None, failures)

    def _readable(self, indices: list[int], failures: list[str]) -> list[tuple[int, Tensor]]:
        found: list[tuple[int, Tensor]] = []
        for index in indices:
            try:
                found.append((index, self._audio[index]))
            except UserError as error:
                failures.append(str(error))
        return found

    def _substitute(self, index: int) -> list[tuple[int, Tensor]]:
        for step in range(1, min(_SUBSTITUTES, len(self.cuts))):
            found = self._readable([(index + step) % len(self.cuts)], [])
            if found:
                return found
        return []
