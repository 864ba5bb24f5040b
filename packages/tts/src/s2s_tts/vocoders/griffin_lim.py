"""Phases for a magnitude spectrogram by alternating projections."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from s2s_core.nn.mask import length_mask
from s2s_tts.vocoders.stft import Stft

_EPSILON = 1e-16


def griffin_lim(
    magnitude: Tensor,
    lengths: Tensor,
    stft: Stft,
    iterations: int = 60,
    momentum: float = 0.99,
    seed: int = 0,
) -> Tensor:
    """Find a signal that has the given magnitudes, by the fast Griffin-Lim algorithm.

    Each iteration gives the spectra the wanted magnitudes, makes them those of a real signal, and steps beyond them
    by ``momentum`` times the change (Perraudin, Balazs and Sondergaard 2013, "A fast Griffin-Lim algorithm",
    algorithm 2); momentum 0 is Griffin and Lim (1984). The phases start at random, the same in every row, so a row's
    result depends neither on its batch nor on its padding. OpenSeq2Seq ran 50 iterations without momentum (4 for
    synthetic training data) from phases that differed from run to run.

    Args:
        magnitude: ``(batch, time, bins)``, at least 0; looked at up to ``lengths`` only.
        lengths: ``(batch,)`` frames.
        stft: how the magnitudes were measured.
        iterations: at least 1.
        momentum: 0 to 1; 0.99 is the paper's.
        seed: of the first phases.

    Returns:
        audio ``(batch, (time - 1) * hop_samples)``, zero beyond each row's ``stft.audio_lengths(lengths)``.

    Raises:
        ValueError: if the number of bins is not the transform's, or an argument is out of range.
    """
    if magnitude.size(2) != stft.bins:
        raise ValueError(f"magnitude has {magnitude.size(2)} bins, the transform {stft.bins}")
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be 0 to 1, got {momentum}")
    mask = length_mask(lengths, magnitude.size(1))[:, :, None]
    magnitude = magnitude.masked_fill(~mask, 0.0)
    spectra = magnitude * _random_phases(magnitude, seed)
    consistent = torch.zeros_like(spectra)
    for _ in range(iterations - 1):
        before, consistent = consistent, stft.forward(stft.inverse(spectra, lengths))
        ahead = consistent + momentum * (consistent - before)
        spectra = magnitude * (ahead / (ahead.abs() + _EPSILON))
    return stft.inverse(spectra, lengths)


def _random_phases(magnitude: Tensor, seed: int) -> Tensor:
    # drawn on the CPU one after the other: longer spectrograms begin as shorter ones do, on every device
    generator = torch.Generator().manual_seed(seed)
    angles = torch.rand(magnitude.shape[1:], generator=generator, dtype=torch.float64) * (2 * math.pi)
    angles = angles.to(magnitude.device, magnitude.dtype)
    return torch.polar(torch.ones_like(angles), angles)
