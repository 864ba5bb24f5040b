"""Phases for a magnitude spectrogram by alternating projections."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from s2s_core.nn.mask import length_mask
from s2s_tts.interfaces import Spectrogram, Vocoder
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.vocoders.mel_inversion import MelInverse, check_inverse, spectra_from_mel
from s2s_tts.vocoders.stft import Stft

_EPSILON = 1e-16


def griffin_lim(
    magnitude: Tensor,
    lengths: Tensor,
    stft: Stft,
    iterations: int = 60,
    momentum: float = 0.99,
    seeds: Tensor | None = None,
) -> Tensor:
    """Find a signal that has the given magnitudes, by the fast Griffin-Lim algorithm.

    Each iteration gives the spectra the wanted magnitudes, makes them those of a real signal, and steps beyond them
    by ``momentum`` times the change (Perraudin, Balazs and Sondergaard 2013, "A fast Griffin-Lim algorithm",
    algorithm 2); momentum 0 is Griffin and Lim (1984). The phases start at random, each row's from its own seed, so a
    row's result depends neither on its batch nor on its padding. OpenSeq2Seq ran 50 iterations without momentum (4 for
    synthetic training data) from phases that differed from run to run.

    Args:
        magnitude: ``(batch, time, bins)``, at least 0; looked at up to ``lengths`` only.
        lengths: ``(batch,)`` frames.
        stft: how the magnitudes were measured.
        iterations: at least 1.
        momentum: 0 to 1; 0.99 is the paper's.
        seeds: ``(batch,)`` int64, of the first phases; zeros if None.

    Returns:
        audio ``(batch, (time - 1) * hop_samples)``, zero beyond each row's ``stft.audio_lengths(lengths)``.

    Raises:
        ValueError: if the number of bins is not the transform's, or an argument is out of range.
    """
    if magnitude.size(2) != stft.bins:
        raise ValueError(f"magnitude has {magnitude.size(2)} bins, the transform {stft.bins}")
    _check(iterations, momentum)
    mask = length_mask(lengths, magnitude.size(1))[:, :, None]
    magnitude = magnitude.masked_fill(~mask, 0.0)
    spectra = magnitude * _random_phases(magnitude, seeds)
    consistent = torch.zeros_like(spectra)
    envelope = stft.envelope(lengths, magnitude.size(1), magnitude)
    for _ in range(iterations - 1):
        before, consistent = consistent, stft.forward(stft.inverse(spectra, lengths, envelope))
        ahead = consistent + momentum * (consistent - before)
        spectra = magnitude * (ahead / (ahead.abs() + _EPSILON))
    return stft.inverse(spectra, lengths, envelope)


def _check(iterations: int, momentum: float) -> None:
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be 0 to 1, got {momentum}")


def _random_phases(magnitude: Tensor, seeds: Tensor | None) -> Tensor:
    numbers = [0] * len(magnitude) if seeds is None else seeds.tolist()
    angles = torch.empty(magnitude.shape, dtype=torch.float64)
    for row, number in zip(angles, numbers, strict=True):
        # drawn on the CPU one after the other: longer spectrograms begin as shorter ones do, on every device
        row.uniform_(0.0, 2 * math.pi, generator=torch.Generator().manual_seed(number))
    angles = angles.to(magnitude.device, magnitude.dtype)
    return torch.polar(torch.ones_like(angles), angles)


class GriffinLim(Vocoder):
    """Makes spectrograms audible without any training: the linear spectrum if there is one, else from the mel bands.

    Args:
        features: what the spectrograms are.
        iterations, momentum: see `griffin_lim`.
        mel_inverse: how bands become a linear spectrum.
        sharpness: the magnitudes are raised to this power, which quietens what lies between the harmonics of predicted
            spectrograms; OpenSeq2Seq has 1.5.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        features: MelSpectrogram,
        iterations: int = 60,
        momentum: float = 0.99,
        mel_inverse: MelInverse = "nnls",
        sharpness: float = 1.0,
    ) -> None:
        super().__init__()
        if sharpness <= 0:
            raise ValueError(f"sharpness must be above 0, got {sharpness}")
        check_inverse(mel_inverse)
        _check(iterations, momentum)
        self.features = features
        self.iterations, self.momentum = iterations, momentum
        self.mel_inverse: MelInverse = mel_inverse
        self.sharpness = sharpness
        self._stft = Stft(features.n_fft, features.window_samples, features.hop_samples)

    @classmethod
    def examples(cls) -> list[GriffinLim]:
        """Small ones for the contract tests."""
        return [
            cls(MelSpectrogram(20, 8000, 128), iterations=3),
            cls(MelSpectrogram(20, 8000, 128), iterations=2, momentum=0.0, mel_inverse="pinv", sharpness=1.5),
        ]

    def forward(self, spectrogram: Spectrogram, seeds: Tensor | None = None) -> Tensor:
        with torch.autocast(spectrogram.mel.device.type, enabled=False):
            magnitude = self._magnitude(spectrogram)
            audio = griffin_lim(magnitude, spectrogram.lengths, self._stft, self.iterations, self.momentum, seeds)
        return audio.clamp(-1.0, 1.0)

    def _magnitude(self, spectrogram: Spectrogram) -> Tensor:
        if spectrogram.magnitude is not None:
            magnitude = spectrogram.magnitude.float().exp()
        else:
            filters = self.features.mel_filters(spectrogram.mel.device)
            magnitude = spectra_from_mel(spectrogram.mel.float().exp(), filters, self.mel_inverse)
        return magnitude if self.sharpness == 1.0 else magnitude.pow(self.sharpness)
