"""Shorter stretches of long recordings."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from s2s_core.audio.augment.augment import WaveAugment, whole_numbers
from s2s_core.audio.features import samples_in
from s2s_core.nn.mask import length_mask


class RandomCrop(WaveAugment):
    """Keeps ``max_s`` seconds at a random place of each utterance that is longer.

    For tasks whose label holds for every part of a recording (commands, speakers): a transcript would no longer match.

    Raises:
        ValueError: if ``max_s`` holds no sample.
    """

    def __init__(self, max_s: float, sample_rate_hz: int = 16000) -> None:
        self.max_s = max_s
        self.max_samples = samples_in(1000 * max_s, sample_rate_hz)

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        fractions = torch.rand(len(audio), generator=generator).to(audio.device)
        width = min(self.max_samples, audio.size(1))
        lengths = audio_lengths.clamp(max=width)
        starts = whole_numbers(fractions, audio_lengths - lengths + 1)
        index = starts[:, None] + torch.arange(width, device=audio.device)
        return audio.gather(1, index).masked_fill(~length_mask(lengths, width), 0.0), lengths
