"""The two kinds of augmentation, and the chain of them that a recipe names."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from s2s_core.part import Part


class WaveAugment(Part, ABC):
    """Changes waveforms."""

    @abstractmethod
    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Change audio ``(batch, samples)`` with true lengths ``(batch,)``; both may come back different.

        Args:
            audio: zeros after each utterance's end; so is the result.
            audio_lengths: samples.
            generator: on the CPU; the only source of randomness.
        """


class FeatureAugment(Part, ABC):
    """Changes features without changing their lengths."""

    @abstractmethod
    def __call__(self, features: Tensor, lengths: Tensor, generator: Generator) -> Tensor:
        """Change features ``(batch, time, feature)`` with true lengths ``(batch,)``.

        Args:
            features: zeros after each utterance's end; so is the result.
            lengths: frames.
            generator: on the CPU; the only source of randomness.
        """


class Augment(Part):
    """Applies augmentations in the order given, in the precision of what they are given, autocast or not.

    Args:
        wave: what is done to waveforms.
        features: what is done to features.
    """

    def __init__(self, wave: list[WaveAugment] | None = None, features: list[FeatureAugment] | None = None) -> None:
        self.wave = wave or []
        self.features = features or []

    def wave_batch(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Apply the changes of waveforms: see `WaveAugment`."""
        with torch.autocast(audio.device.type, enabled=False):
            for change in self.wave:
                audio, audio_lengths = change(audio, audio_lengths, generator)
        return audio, audio_lengths

    def feature_batch(self, features: Tensor, lengths: Tensor, generator: Generator) -> Tensor:
        """Apply the changes of features: see `FeatureAugment`."""
        with torch.autocast(features.device.type, enabled=False):
            for change in self.features:
                features = change(features, lengths, generator)
        return features


def uniform(low: float, high: float, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Draw float32 numbers between ``low`` and ``high`` on the CPU."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def whole_numbers(fractions: Tensor, count: Tensor | int) -> Tensor:
    """Turn fractions in [0, 1) into whole numbers 0 to ``count - 1``, on any device alike."""
    # in float32 a fraction next to 1 can round up to the count itself
    return torch.minimum((fractions * count).long(), torch.as_tensor(count, device=fractions.device) - 1)


def check_range(name: str, low: float, high: float) -> None:
    """Raise ValueError if ``low`` is above ``high``."""
    if low > high:
        raise ValueError(f"min_{name} is {low}, above max_{name}, which is {high}")


def check_probability(probability: float) -> None:
    """Raise ValueError outside of 0 to 1."""
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must be 0 to 1, got {probability}")
