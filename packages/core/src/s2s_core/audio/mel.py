"""The mel scale: filters that sum a power spectrum into bands as wide as the ear's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks


@dataclass(frozen=True)
class MelScale:
    """Where the triangular filters stand."""

    kind: Literal["slaney", "htk", "htk_bins"] = "slaney"
    """``slaney``: linear to 1 kHz, filters of equal area (librosa). ``htk``: 2595 log10(1 + f/700), filters of equal
    height. ``htk_bins``: the same with corners rounded down to bins of the transform (python_speech_features); narrow
    filters at the low end may come out empty and give the floor."""
    fmin_hz: float = 0.0
    fmax_hz: float | None = None
    """Half of the sample rate if not given."""

    def upper_edge_hz(self, sample_rate_hz: int) -> float:
        return sample_rate_hz / 2 if self.fmax_hz is None else self.fmax_hz

    def check(self, sample_rate_hz: int) -> None:
        """Raise ValueError if the kind is unknown or the bands leave the spectrum."""
        if self.kind not in ("slaney", "htk", "htk_bins"):
            raise ValueError(f"mel scale must be slaney, htk or htk_bins, got {self.kind!r}")
        upper_hz = self.upper_edge_hz(sample_rate_hz)
        if not 0 <= self.fmin_hz < upper_hz <= sample_rate_hz / 2:
            raise ValueError(f"mel bands from {self.fmin_hz} to {upper_hz} Hz leave 0 to {sample_rate_hz / 2} Hz")


def mel_filters(num_mels: int, n_fft: int, sample_rate_hz: int, mel: MelScale) -> Tensor:
    """Return the weights ``(n_fft // 2 + 1, num_mels)`` that sum power spectra into mel bands."""
    bins = n_fft // 2 + 1
    fmax_hz = mel.upper_edge_hz(sample_rate_hz)
    if mel.kind == "slaney":
        return melscale_fbanks(bins, mel.fmin_hz, fmax_hz, num_mels, sample_rate_hz, "slaney", "slaney")
    if mel.kind == "htk":
        return melscale_fbanks(bins, mel.fmin_hz, fmax_hz, num_mels, sample_rate_hz, None, "htk")
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (mel.fmin_hz, fmax_hz))
    corners_hz = 700 * (10 ** (torch.linspace(low, high, num_mels + 2, dtype=torch.float64) / 2595) - 1)
    corners = torch.floor((n_fft + 1) * corners_hz / sample_rate_hz)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    index = torch.arange(bins, dtype=torch.float64)[:, None]
    # corners that fall into one bin divide by zero; those places are not selected
    rising = torch.where((index >= left) & (index < centre), (index - left) / (centre - left), 0.0)
    falling = torch.where((index >= centre) & (index < right), (right - index) / (right - centre), 0.0)
    return (rising + falling).float()
