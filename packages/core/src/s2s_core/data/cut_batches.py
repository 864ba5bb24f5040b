"""Cuts to batches: what a loader asks for by index, with what cannot be read left out and named."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from s2s_core.data.kept_audio import KeptAudio
from s2s_core.data.readable_batches import Batch, IndexedBatches
from s2s_core.data.speech import CutTable


class CutBatches(IndexedBatches[tuple[int, Tensor], Batch]):
    """Loads whole batches by their cuts' indices; an item of a batch is an index and its audio ``(samples,)``.

    Args:
        cuts: the recordings.
        sample_rate_hz: of the batches' audio.
        substitute: see `ReadableBatches`.
        keep_audio: keep what is decoded for the next epoch.
    """

    example: ClassVar[str] = "utterance"

    def __init__(self, cuts: CutTable, sample_rate_hz: int, substitute: bool = False, keep_audio: bool = False) -> None:
        super().__init__(len(cuts), substitute)
        self.cuts = cuts
        self.sample_rate_hz = sample_rate_hz
        self._audio = KeptAudio(cuts, sample_rate_hz, keep_audio)

    def read(self, key: int) -> tuple[int, Tensor]:
        return key, self._audio[key]
