"""Masks over features."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from s2s_core.audio.augment.augment import FeatureAugment, whole_numbers


class SpecAugment(FeatureAugment):
    """Sets bands of features and stretches of time to zero (Park et al., arXiv:1904.08779, section 2; no time warping).

    Zero is the mean of normalised features. A width is drawn from 0 to its maximum, both included, then a place where
    the mask fits into the utterance. The defaults are OpenSeq2Seq's for Jasper.

    Args:
        freq_masks: bands in each utterance; they may overlap.
        freq_width: features at most.
        time_masks: stretches in each utterance; they may overlap.
        time_width: frames at most.
        max_time_fraction: a stretch is at most this part of its utterance (the paper's ``p``).

    Raises:
        ValueError: if a number is negative, or the fraction is not within 0 to 1.
    """

    def __init__(
        self,
        freq_masks: int = 2,
        freq_width: int = 6,
        time_masks: int = 2,
        time_width: int = 6,
        max_time_fraction: float | None = None,
    ) -> None:
        numbers = (freq_masks, freq_width, time_masks, time_width)
        if min(numbers) < 0:
            raise ValueError(f"numbers and widths of masks must not be negative, got {numbers}")
        if max_time_fraction is not None and not 0 <= max_time_fraction <= 1:
            raise ValueError(f"max_time_fraction must be 0 to 1, got {max_time_fraction}")
        self.freq_masks = freq_masks
        self.freq_width = freq_width
        self.time_masks = time_masks
        self.time_width = time_width
        self.max_time_fraction = max_time_fraction

    def __call__(self, features: Tensor, lengths: Tensor, generator: Generator) -> Tensor:
        batch, frames, bands = features.shape
        longest = lengths.clamp(max=self.time_width)
        if self.max_time_fraction is not None:
            longest = longest.minimum((lengths * self.max_time_fraction).long())
        widest = torch.full_like(lengths, min(self.freq_width, bands))
        in_time = _masks(longest, lengths, frames, _fractions(batch, self.time_masks, generator))
        in_frequency = _masks(
            widest, torch.full_like(lengths, bands), bands, _fractions(batch, self.freq_masks, generator)
        )
        return features.masked_fill(in_time[:, :, None] | in_frequency[:, None, :], 0.0)


def _fractions(batch: int, masks: int, generator: Generator) -> Tensor:
    return torch.rand(2, batch, masks, 1, generator=generator)


def _masks(max_widths: Tensor, extents: Tensor, size: int, fractions: Tensor) -> Tensor:
    """Return a bool tensor ``(batch, size)``, true under any of the masks."""
    fractions = fractions.to(extents.device)
    widths = whole_numbers(fractions[0], max_widths[:, None, None] + 1)
    starts = whole_numbers(fractions[1], extents[:, None, None] - widths + 1)
    places = torch.arange(size, device=extents.device)
    return ((places >= starts) & (places < starts + widths)).any(dim=1)
