"""Labelled cuts to batches of padded audio."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_commands.interfaces import SoundBatch
from s2s_core.data.cut_batches import CutBatches
from s2s_core.data.speech import CutTable


class ClipBatches(CutBatches[SoundBatch]):
    """Loads whole batches by their cuts' indices.

    Args:
        cuts: the clips.
        names: of the clips.
        labels: the class number of each clip, -1 where there is none.
        sample_rate_hz, substitute, keep_audio: see `CutBatches`.
    """

    example: ClassVar[str] = "clip"

    def __init__(
        self,
        cuts: CutTable,
        names: list[str],
        labels: np.ndarray,
        sample_rate_hz: int,
        substitute: bool = False,
        keep_audio: bool = False,
    ) -> None:
        super().__init__(cuts, sample_rate_hz, substitute, keep_audio)
        self.names, self.labels = names, labels

    def collate(self, found: list[tuple[int, Tensor]]) -> SoundBatch:
        audio = [samples for _, samples in found]
        return SoundBatch(
            audio=pad_sequence(audio, batch_first=True),
            audio_lengths=torch.tensor([len(samples) for samples in audio]),
            labels=torch.tensor([int(self.labels[index]) for index, _ in found]),
            ids=[self.names[index] for index, _ in found],
        )
