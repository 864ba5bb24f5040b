"""Louder or softer speech, and white noise under it."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from s2s_core.audio.augment.augment import WaveAugment, check_probability, check_range, uniform
from s2s_core.nn.mask import length_mask


class Gain(WaveAugment):
    """Multiplies each utterance by a factor drawn evenly in decibels; nothing is clipped.

    Features that divide by the peak (`Spectrum.peak_gain`) undo it, unless noise was added in between.

    Raises:
        ValueError: if the range is empty.
    """

    def __init__(self, min_db: float = -10.0, max_db: float = 10.0) -> None:
        check_range("db", min_db, max_db)
        self.min_db = min_db
        self.max_db = max_db

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        level_db = uniform(self.min_db, self.max_db, (len(audio), 1), generator)
        return audio * torch.pow(10.0, level_db / 20).to(audio.device), audio_lengths


class WhiteNoise(WaveAugment):
    """Adds Gaussian noise at a level drawn evenly in decibels, relative to the utterance's peak.

    OpenSeq2Seq set the peak to 1 before it added the noise, which is the same, and drew whole decibels. (Its "psf"
    backend added the noise to a signal of 16-bit scale, where it was never heard.)

    Args:
        min_db, max_db: root mean square of the noise over the peak of the utterance.
        probability: of adding noise to an utterance at all.

    Raises:
        ValueError: if the range is empty or the probability none.
    """

    def __init__(self, min_db: float = -90.0, max_db: float = -46.0, probability: float = 1.0) -> None:
        check_range("db", min_db, max_db)
        check_probability(probability)
        self.min_db = min_db
        self.max_db = max_db
        self.probability = probability

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        level_db = uniform(self.min_db, self.max_db, (len(audio), 1), generator)
        chosen = torch.rand(len(audio), 1, generator=generator) < self.probability
        level = (torch.pow(10.0, level_db / 20) * chosen).to(audio.device)
        noise = torch.randn(audio.shape, generator=generator).to(audio.device)
        noisy = audio + noise * level * audio.abs().amax(dim=1, keepdim=True)
        return noisy.masked_fill(~length_mask(audio_lengths, audio.size(1)), 0.0), audio_lengths
