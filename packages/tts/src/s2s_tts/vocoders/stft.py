"""The short-time Fourier transform of padded batches and its inverse, in the frames of `s2s_core.audio.features`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.ceiling import ceil_div
from s2s_core.nn.mask import length_mask

# where windows hardly reach, dividing by their sum would blow noise up
_SMALLEST_ENVELOPE = 1e-8


@dataclass(frozen=True)
class Stft:
    """Frame ``t`` is centred at sample ``t * hop_samples``; what lies outside of the signal is zero.

    The windows are Hann's, symmetric, as in `s2s_core.audio.features.Spectrum`.

    Raises:
        ValueError: if the transform is shorter than the window, or windows do not overlap.
    """

    n_fft: int
    window_samples: int
    hop_samples: int

    def __post_init__(self) -> None:
        if self.n_fft < self.window_samples:
            raise ValueError(f"n_fft is {self.n_fft}, less than the window's {self.window_samples} samples")
        if not 0 < self.hop_samples <= self.window_samples // 2:
            raise ValueError(
                f"hop_samples must be 1 to half the window's {self.window_samples}, got {self.hop_samples}"
            )

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    def audio_lengths(self, lengths: Tensor) -> Tensor:
        """Samples between the centres of the first and the last of so many frames."""
        return (lengths - 1).clamp(min=0) * self.hop_samples

    def forward(self, audio: Tensor) -> Tensor:
        """Audio ``(batch, samples)`` to complex spectra ``(batch, 1 + samples // hop_samples, bins)``."""
        frames = 1 + audio.size(1) // self.hop_samples
        before = self.window_samples // 2
        span = (frames - 1) * self.hop_samples + self.window_samples
        framed = F.pad(audio, (before, span - before - audio.size(1)))
        framed = framed.unfold(1, self.window_samples, self.hop_samples)
        return torch.fft.rfft(framed * self._window(audio), n=self.n_fft)

    def envelope(self, lengths: Tensor, time: int, like: Tensor) -> Tensor:
        """What the squared windows of ``lengths`` frames add up to: ``(batch, (time - 1) * hop_samples)``.

        Each row's own: the last frames of a row in a batch have no neighbours, as if it were alone.
        """
        mask = length_mask(lengths, time)[:, :, None]
        return self._overlap_add(self._window(like).square() * mask).clamp(min=_SMALLEST_ENVELOPE)

    def inverse(self, spectra: Tensor, lengths: Tensor, envelope: Tensor | None = None) -> Tensor:
        """The signal whose spectra are nearest to ``spectra`` in the least-squares sense (Griffin and Lim 1984, eq. 6).

        Args:
            spectra: complex ``(batch, time, bins)``.
            lengths: ``(batch,)`` true frames; what lies beyond them is not looked at.
            envelope: of so many frames, if it is known already.

        Returns:
            audio ``(batch, (time - 1) * hop_samples)``, zero beyond each row's `audio_lengths`.
        """
        window = self._window(spectra.real)
        mask = length_mask(lengths, spectra.size(1))[:, :, None]
        framed = torch.fft.irfft(spectra, n=self.n_fft)[..., : self.window_samples] * window
        envelope = self.envelope(lengths, spectra.size(1), window) if envelope is None else envelope
        audio = self._overlap_add(framed.masked_fill(~mask, 0.0)) / envelope
        return audio.masked_fill(~length_mask(self.audio_lengths(lengths), audio.size(1)), 0.0)

    def _overlap_add(self, framed: Tensor) -> Tensor:
        batch, frames, _ = framed.shape
        parts = ceil_div(self.window_samples, self.hop_samples)
        framed = F.pad(framed, (0, parts * self.hop_samples - self.window_samples))
        pieces = framed.view(batch, frames, parts, self.hop_samples)
        total = framed.new_zeros(batch, frames + parts - 1, self.hop_samples)
        for part in range(parts):
            total[:, part : part + frames] += pieces[:, :, part]
        before = self.window_samples // 2
        return total.flatten(1)[:, before : before + (frames - 1) * self.hop_samples]

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.window_samples, periodic=False, dtype=like.dtype, device=like.device)
