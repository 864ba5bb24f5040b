"""The spectrograms that synthesis predicts and vocoders make audible."""

from __future__ import annotations

import torch
from torch import Tensor

from s2s_core.audio.features import Features, Spectrum
from s2s_core.audio.mel import MelScale, mel_filters
from s2s_core.nn.mask import length_mask

_HTK = MelScale("htk")


class MelSpectrogram(Features):
    """Natural logarithms of mel bands' magnitudes, and on request of the linear spectrum's.

    The defaults are OpenSeq2Seq's for LJ Speech: 22 050 Hz, windows of 1024 samples, HTK mel bands over the magnitude
    (not the power), floors of 1e-2 and 1e-5, no normalisation. For M-AILABS it has 16 000 Hz and ``n_fft`` 800.
    Frame ``t`` is centred at sample ``t * hop``; outside of the utterance lies silence, where OpenSeq2Seq's librosa
    mirrored the signal.

    Args:
        num_features: mel bands.
        sample_rate_hz: of the audio.
        n_fft: samples of the window and points of its transform.
        hop: samples between frames; a quarter of ``n_fft`` if None.
        mel_floor: the smallest band magnitude whose logarithm is taken.
        magnitude_floor: the same for the linear spectrum.
        mel: where the bands stand.

    Raises:
        ValueError: if a floor is not positive, or the bands leave the spectrum.
    """

    def __init__(
        self,
        num_features: int = 80,
        sample_rate_hz: int = 22050,
        n_fft: int = 1024,
        hop: int | None = None,
        mel_floor: float = 1e-2,
        magnitude_floor: float = 1e-5,
        mel: MelScale = _HTK,
    ) -> None:
        hop = n_fft // 4 if hop is None else hop
        window_ms, hop_ms = (1000 * samples / sample_rate_hz for samples in (n_fft, hop))
        if mel_floor <= 0 or magnitude_floor <= 0:
            raise ValueError(f"floors must be above 0, got {mel_floor} and {magnitude_floor}")
        spectrum = Spectrum(n_fft=n_fft, peak_gain=False, pre_emphasis=0.0)
        super().__init__(num_features, sample_rate_hz, window_ms, hop_ms, 0.0, "none", 1, spectrum, n_fft)
        self.mel_floor = mel_floor
        self.magnitude_floor = magnitude_floor
        self.mel = mel
        mel.check(sample_rate_hz)

    @classmethod
    def examples(cls) -> list[MelSpectrogram]:
        """Small ones for the contract tests."""
        return [cls(10, 8000, 128), cls(12, 8000, 200, 40, mel=MelScale("slaney", fmax_hz=3500.0))]

    @property
    def bins(self) -> int:
        """The size of the linear spectrum."""
        return self.n_fft // 2 + 1

    def samples(self, lengths: Tensor) -> Tensor:
        """How many samples ``lengths`` frames stand for: from the first frame's centre to the last one's."""
        return (lengths - 1).clamp(min=0) * self.hop_samples

    def mel_filters(self, device: torch.device) -> Tensor:
        """The weights ``(bins, num_features)`` that sum magnitudes into bands."""
        return self._constant("mel", device)

    def both(self, audio: Tensor, audio_lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mel bands and the linear log spectrum, of one transform.

        Args:
            audio, audio_lengths: ``(batch, samples)`` and ``(batch,)``, as `forward` takes them.

        Returns:
            the features ``(batch, frames, num_features)`` that `forward` gives, logarithms of the spectrum's magnitudes
            ``(batch, frames, bins)``, zero after each end as well, and lengths ``(batch,)``.
        """
        lengths = self.output_lengths(audio_lengths)
        frames = int(self.output_lengths(torch.tensor(audio.size(1))))
        mask = length_mask(lengths, frames)[..., None]
        with torch.autocast(audio.device.type, enabled=False):
            signal = self._condition(audio.float(), audio_lengths, None)
            # on a CPU row by row: an utterance's spectra are still in its caches when they are read again
            parts = signal.split(1) if audio.device.type == "cpu" else [signal]
            powers = (self._power(part, frames) for part in parts)
            pairs = [(self._from_power(power), self._log_magnitude(power)) for power in powers]
            mel, magnitude = (torch.cat(column).masked_fill(~mask, 0.0) for column in zip(*pairs, strict=True))
        return mel, magnitude, lengths

    def _log_magnitude(self, power: Tensor) -> Tensor:
        return power.clamp(min=self.magnitude_floor**2).log() / 2

    def _make_constants(self) -> dict[str, Tensor]:
        return {"mel": mel_filters(self.num_features, self.n_fft, self.sample_rate_hz, self.mel)}

    def _from_power(self, power: Tensor) -> Tensor:
        return (power.sqrt() @ self._constant("mel", power.device)).clamp(min=self.mel_floor).log()
