"""Recordings at other places in time."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from s2s_core.audio.augment.augment import WaveAugment, check_probability, whole_numbers
from s2s_core.nn.mask import length_mask


class TimeShift(WaveAugment):
    """Moves each recording earlier or later by up to ``max_shift_ms``, keeping its length.

    What is pushed over an end is lost and zeros come in at the other, as in the reference training script of Warden
    (arXiv:1804.03209), whose bound is 100 ms.

    Args:
        max_shift_ms: either way; every whole number of samples is as likely.
        sample_rate_hz: of the audio that will come.

    Raises:
        ValueError: if the bound is negative.
    """

    def __init__(self, max_shift_ms: float = 100.0, sample_rate_hz: int = 16000) -> None:
        if max_shift_ms < 0:
            raise ValueError(f"max_shift_ms must not be negative, got {max_shift_ms}")
        self.max_shift_ms = max_shift_ms
        self.sample_rate_hz = sample_rate_hz

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        most = round(self.max_shift_ms * self.sample_rate_hz / 1000)
        fractions = torch.rand(len(audio), 1, generator=generator).to(audio.device)
        later = whole_numbers(fractions, 2 * most + 1) - most
        source = torch.arange(audio.size(1), device=audio.device) - later
        inside = (source >= 0) & (source < audio_lengths[:, None])
        moved = audio.gather(1, source.clamp(0, audio.size(1) - 1)).masked_fill(~inside, 0.0)
        return moved.masked_fill(~length_mask(audio_lengths, audio.size(1)), 0.0), audio_lengths


class RandomPlace(WaveAugment):
    """Lays each recording that is shorter than ``window_s`` at a random place in that much silence.

    For classifiers that listen to a stream through a window, where a word begins anywhere.

    Args:
        window_s: how long the result is; longer recordings stay as they are.
        probability: of doing it to a recording at all.
        sample_rate_hz: of the audio that will come.

    Raises:
        ValueError: if the window is not positive or the probability none.
    """

    def __init__(self, window_s: float = 1.0, probability: float = 1.0, sample_rate_hz: int = 16000) -> None:
        if window_s <= 0:
            raise ValueError(f"window_s must be above 0, got {window_s}")
        check_probability(probability)
        self.window_s = window_s
        self.probability = probability
        self.sample_rate_hz = sample_rate_hz

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        window = round(self.window_s * self.sample_rate_hz)
        fractions = torch.rand(len(audio), generator=generator).to(audio.device)
        chosen = (torch.rand(len(audio), generator=generator) < self.probability).to(audio.device)
        lengths = torch.where(chosen, audio_lengths.clamp(min=window), audio_lengths)
        starts = whole_numbers(fractions, lengths - audio_lengths + 1)
        width = max(window, audio.size(1))
        source = torch.arange(width, device=audio.device) - starts[:, None]
        inside = (source >= 0) & (source < audio_lengths[:, None])
        return audio.gather(1, source.clamp(0, audio.size(1) - 1)).masked_fill(~inside, 0.0), lengths
