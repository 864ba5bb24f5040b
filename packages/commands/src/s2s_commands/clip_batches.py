"""Labelled cuts to batches of padded audio."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from s2s_commands.interfaces import SoundBatch
from s2s_core.data.loader import Loaded
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError

_SUBSTITUTES = 32
"""Clips tried in place of a batch that cannot be read."""


class ClipBatches(Dataset[Loaded[SoundBatch]]):
    """Loads whole batches by their cuts' indices.

    Args:
        cuts: the clips.
        names: of the clips.
        labels: the class number of each clip, -1 where there is none.
        sample_rate_hz: of the batches' audio.
        substitute: where no clip of a batch can be read, take the next one in the table that can, because all ranks
            need the same number of training batches; otherwise there is no batch.
        keep_audio: keep what is decoded for the next epoch.
    """

    def __init__(
        self,
        cuts: CutTable,
        names: list[str],
        labels: np.ndarray,
        sample_rate_hz: int,
        substitute: bool = False,
        keep_audio: bool = False,
    ) -> None:
        self.cuts = cuts
        self.names = names
        self.labels = labels
        self.sample_rate_hz = sample_rate_hz
        self.substitute = substitute
        self._kept: dict[int, Tensor] | None = {} if keep_audio else None

    def __len__(self) -> int:
        return len(self.cuts)

    def __getitem__(self, index: int) -> Loaded[SoundBatch]:
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Loaded[SoundBatch]:
        failures: list[str] = []
        found = self._readable(indices, failures)
        for step in range(1, min(_SUBSTITUTES, len(self.cuts)) if self.substitute else 1):
            if found:
                break
            found = self._readable([(indices[0] + step) % len(self.cuts)], [])
        if not found and self.substitute:
            return Loaded(None, fatal=f"no clip of a batch can be read, nor any after it; {failures[-1]}")
        return Loaded(self._collate(found) if found else None, failures)

    def _readable(self, indices: list[int], failures: list[str]) -> list[tuple[int, Tensor]]:
        found = []
        for index in indices:
            try:
                found.append((index, self._audio(index)))
            except UserError as error:
                failures.append(str(error))
        return found

    def _audio(self, index: int) -> Tensor:
        if self._kept is None:
            return self.cuts.audio(index, self.sample_rate_hz)
        if index not in self._kept:
            self._kept[index] = self.cuts.audio(index, self.sample_rate_hz)
        return self._kept[index]

    def _collate(self, found: list[tuple[int, Tensor]]) -> SoundBatch:
        audio = [samples for _, samples in found]
        return SoundBatch(
            audio=pad_sequence(audio, batch_first=True),
            audio_lengths=torch.tensor([len(samples) for samples in audio]),
            labels=torch.tensor([int(self.labels[index]) for index, _ in found]),
            ids=[self.names[index] for index, _ in found],
        )
