"""Waveforms to log spectrograms, log-mel filterbanks and cepstra: whole padded batches, on any device, in float32."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.functional import create_dct

from s2s_core.audio.measures import Measures
from s2s_core.audio.mel import MelScale, mel_filters
from s2s_core.nn.mask import length_mask
from s2s_core.part import Part

Normalise = Literal["utterance", "feature", "none"]
"""Mean 0 and variance 1 over all of an utterance, over time for each feature, or not at all."""

_WINDOWS = {"hann": torch.hann_window, "hamming": torch.hamming_window, "none": None}
# spectra of a whole batch leave the processor's cache: 2.5 times slower
_CPU_CHUNK_SAMPLES = 1 << 18
_PEAK_EPSILON = 1e-5
_SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True)
class Spectrum:
    """How frames become power spectra. The defaults are OpenSeq2Seq's "librosa" flavour."""

    window: Literal["hann", "hamming", "none"] = "hann"
    """Symmetric, as NumPy makes them and both of OpenSeq2Seq's backends used them."""
    n_fft: int | None = None
    """Points of the Fourier transform; the default is the next power of two for mels and cepstra, and the window
    itself for a log spectrogram."""
    centred: bool = True
    """True (librosa): frame ``t`` is centred at sample ``t * hop``, ``1 + samples // hop`` frames. False
    (python_speech_features): it starts there, ``1 + ceil((samples - window) / hop)`` frames. What lies outside of the
    utterance is zero; librosa mirrored the signal there, which differs in the first and the last frame only."""
    peak_gain: bool = True
    """Divide each utterance by its peak."""
    pre_emphasis: float = 0.97
    """``y[n] = x[n] - pre_emphasis * x[n - 1]``; 0 is off."""
    log_floor: float = 1e-9
    """The smallest power whose logarithm is taken. The default stands near what a dither of 1e-5 leaves, so that
    digital silence looks alike in training and in evaluation; OpenSeq2Seq dithered in evaluation too, and took 1e-20
    (mels) and 1e-30 (spectra)."""

    def __post_init__(self) -> None:
        if self.window not in _WINDOWS:
            raise ValueError(f"window must be one of {', '.join(_WINDOWS)}, got {self.window!r}")
        if self.log_floor <= 0:
            raise ValueError(f"log_floor must be above 0, got {self.log_floor}")


_LIBROSA = Spectrum()
_PLAIN = Spectrum(pre_emphasis=0.0)
_SLANEY = MelScale()


class Features(Part, nn.Module, ABC):
    """Waveforms to one vector a frame.

    An utterance's features do not depend on what else is in the batch nor on its padding: frames see zeros outside of
    the utterance, and means and deviations are taken over its own frames (population deviation, at least 1e-3;
    OpenSeq2Seq's had no such bound). Computes in float32 also under autocast and in a model cast to half precision.
    """

    num_features: int
    sample_rate_hz: int
    hop_ms: float

    def __init__(
        self,
        num_features: int,
        sample_rate_hz: int,
        window_ms: float,
        hop_ms: float,
        dither: float,
        normalise: Normalise,
        pad_to: int,
        spectrum: Spectrum,
        default_n_fft: int,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.sample_rate_hz = sample_rate_hz
        self.hop_ms = hop_ms
        self.dither = dither
        self.normalise = normalise
        self.pad_to = pad_to
        self.spectrum = spectrum
        self.window_samples = samples_in(window_ms, sample_rate_hz)
        self.hop_samples = samples_in(hop_ms, sample_rate_hz)
        self.n_fft = spectrum.n_fft or default_n_fft
        # not buffers: a cast to half precision would spoil them, and data parallelism would send them every step
        self._constants: dict[torch.device, dict[str, Tensor]] = {}
        if self.n_fft < self.window_samples:
            raise ValueError(f"n_fft is {self.n_fft}, less than the window's {self.window_samples} samples")
        if pad_to < 1:
            raise ValueError(f"pad_to must be at least 1, got {pad_to}")
        if normalise not in ("utterance", "feature", "none"):
            raise ValueError(f"normalise must be utterance, feature or none, got {normalise!r}")

    def output_lengths(self, audio_lengths: Tensor) -> Tensor:
        """Frames of utterances of so many samples: see `Spectrum.centred`; at least 1, but 0 for 0 samples."""
        if self.spectrum.centred:
            frames = 1 + torch.div(audio_lengths, self.hop_samples, rounding_mode="floor")
        else:
            beyond_first = (audio_lengths - self.window_samples).clamp(min=0)
            frames = 1 + torch.div(beyond_first + self.hop_samples - 1, self.hop_samples, rounding_mode="floor")
        return torch.where(audio_lengths > 0, frames, 0)

    @property
    def needs_whole(self) -> bool:
        """Whether a frame depends on the whole utterance, through its peak or its mean and deviation."""
        return self.normalise != "none" or self.spectrum.peak_gain

    def forward(self, audio: Tensor, audio_lengths: Tensor, measures: Measures | None = None) -> tuple[Tensor, Tensor]:
        """Turn audio ``(batch, samples)`` with true lengths ``(batch,)`` into features.

        Args:
            audio, audio_lengths: the utterances.
            measures: of the recordings that these are pieces of; without them, an utterance is normalised by itself.

        Returns:
            float32 features ``(batch, time, num_features)``, zero after each utterance's end, with ``time`` a multiple
            of ``pad_to``; and the true numbers of frames ``(batch,)``.
        """
        lengths = self.output_lengths(audio_lengths)
        features = self.unnormalised(audio, audio_lengths, None if measures is None else measures.peak)
        with torch.autocast(audio.device.type, enabled=False):
            features = self.normalised(features, lengths, measures)
        return F.pad(features, (0, 0, 0, -features.size(1) % self.pad_to)), lengths

    def unnormalised(self, audio: Tensor, audio_lengths: Tensor, peak: Tensor | None = None) -> Tensor:
        """Features ``(batch, time, num_features)`` before mean and deviation are removed; anything past the ends.

        Args:
            audio, audio_lengths: the utterances.
            peak: ``(batch,)`` to divide by where there is ``peak_gain``; each utterance's own if not given.
        """
        if audio.size(1) == 0:
            return audio.new_zeros(len(audio), 0, self.num_features, dtype=torch.float32)
        with torch.autocast(audio.device.type, enabled=False):
            frames = int(self.output_lengths(torch.tensor(audio.size(1))))
            signal = self._condition(audio.float(), audio_lengths, peak)
            rows = max(1, _CPU_CHUNK_SAMPLES // audio.size(1)) if audio.device.type == "cpu" else len(audio)
            return torch.cat([self._from_power(self._power(part, frames)) for part in signal.split(rows)])

    @abstractmethod
    def _from_power(self, power: Tensor) -> Tensor:
        """Power spectra ``(batch, time, n_fft // 2 + 1)`` to features."""

    @abstractmethod
    def _make_constants(self) -> dict[str, Tensor]:
        """Matrices that `_from_power` needs, on the CPU."""

    def _constant(self, name: str, device: torch.device) -> Tensor:
        if device not in self._constants:
            make_window = _WINDOWS[self.spectrum.window]
            samples = self.window_samples
            window = make_window(samples, periodic=False, dtype=torch.float64) if make_window else torch.ones(samples)
            made = {"window": window, **self._make_constants()}
            self._constants[device] = {key: tensor.to(device, torch.float32) for key, tensor in made.items()}
        return self._constants[device][name]

    def _condition(self, audio: Tensor, audio_lengths: Tensor, peak: Tensor | None) -> Tensor:
        mask = length_mask(audio_lengths, audio.size(1))
        signal = audio.masked_fill(~mask, 0.0)
        if self.spectrum.peak_gain:
            peak = signal.abs().amax(dim=1) if peak is None else peak
            signal = signal / (peak[:, None] + _PEAK_EPSILON)
        if self.dither > 0 and self.training:
            signal = signal + self.dither * torch.randn_like(signal)
        if self.spectrum.pre_emphasis:
            signal = torch.cat([signal[:, :1], signal[:, 1:] - self.spectrum.pre_emphasis * signal[:, :-1]], dim=1)
        # again: dither and pre-emphasis have reached beyond the end
        return signal.masked_fill(~mask, 0.0)

    def _power(self, signal: Tensor, frames: int) -> Tensor:
        before = self.window_samples // 2 if self.spectrum.centred else 0
        span = (frames - 1) * self.hop_samples + self.window_samples
        framed = F.pad(signal, (before, span - before - signal.size(1))).unfold(
            1, self.window_samples, self.hop_samples
        )
        spectra = torch.fft.rfft(framed * self._constant("window", signal.device), n=self.n_fft)
        return spectra.real.square() + spectra.imag.square()

    def _log(self, power: Tensor) -> Tensor:
        return power.clamp(min=self.spectrum.log_floor).log()

    def gain_step(self, gain: float) -> Tensor:
        """What a ``gain`` of the signal adds to each feature ``(num_features,)`` of a frame above the floor."""
        power = torch.ones(1, 1, self.n_fft // 2 + 1)
        return (self._from_power(power * gain**2) - self._from_power(power))[0, 0]

    def normalised(self, features: Tensor, lengths: Tensor, measures: Measures | None = None) -> Tensor:
        """Remove mean and deviation, as ``normalise`` says, from what `unnormalised` gave; zero after the ends."""
        mask = length_mask(lengths, features.size(1))[:, :, None]
        if self.normalise == "none":
            return features.masked_fill(~mask, 0.0)
        if measures is not None:
            deviation = measures.deviation[:, None].clamp(min=_SMALLEST_DEVIATION)
            return ((features - measures.mean[:, None]) / deviation).masked_fill(~mask, 0.0)
        axes = (1, 2) if self.normalise == "utterance" else (1,)
        count = lengths[:, None, None].clamp(min=1) * (features.size(2) if self.normalise == "utterance" else 1)
        mean = features.masked_fill(~mask, 0.0).sum(axes, keepdim=True) / count
        centred = (features - mean).masked_fill(~mask, 0.0)
        deviation = (centred.square().sum(axes, keepdim=True) / count).sqrt()
        return centred / deviation.clamp(min=_SMALLEST_DEVIATION)


class LogSpectrogram(Features):
    """The lowest ``num_features`` bins of the power spectrum in decibels, as in DeepSpeech2 (arXiv:1512.02595).

    OpenSeq2Seq's "psf" flavour is ``Spectrum(centred=False, pre_emphasis=0)`` with ``normalise="utterance"``. We differ
    from it: the signal is not rounded to 16 bits, and silence that rounds the number of frames up does not enter mean
    and deviation.

    Args:
        num_features: bins kept.
        sample_rate_hz: of the audio.
        window_ms, hop_ms: the length of a frame and the step between frames.
        dither: standard deviation of white noise that is added in training.
        normalise: over what mean and variance are removed.
        pad_to: the time axis is padded to a multiple of it.
        spectrum: the details.

    Raises:
        ValueError: if the transform has fewer than ``num_features`` bins, or is shorter than the window.
    """

    def __init__(
        self,
        num_features: int = 160,
        sample_rate_hz: int = 16000,
        window_ms: float = 20.0,
        hop_ms: float = 10.0,
        dither: float = 0.0,
        normalise: Normalise = "utterance",
        pad_to: int = 8,
        spectrum: Spectrum = _PLAIN,
    ) -> None:
        n_fft = samples_in(window_ms, sample_rate_hz)
        super().__init__(num_features, sample_rate_hz, window_ms, hop_ms, dither, normalise, pad_to, spectrum, n_fft)
        if num_features > self.n_fft // 2 + 1:
            raise ValueError(f"num_features is {num_features}, but {self.n_fft} points give {self.n_fft // 2 + 1} bins")

    @classmethod
    def examples(cls) -> list[LogSpectrogram]:
        """Small ones for the contract tests."""
        return [cls(20), cls(20, 8000, dither=1e-3, normalise="none", spectrum=Spectrum(centred=False))]

    def _make_constants(self) -> dict[str, Tensor]:
        return {}

    def _from_power(self, power: Tensor) -> Tensor:
        return self._log(power[..., : self.num_features]) * (10 / math.log(10))


class LogMel(Features):
    """Natural logarithms of ``num_features`` mel bands' powers.

    The defaults are OpenSeq2Seq's "librosa" flavour. Its "psf" flavour is ``Spectrum(window="none", n_fft=512,
    centred=False)``, ``MelScale("htk_bins")`` and ``normalise="utterance"``; differences as in `LogSpectrogram`.

    Args:
        num_features: mel bands.
        mel: where the bands stand.
        sample_rate_hz, window_ms, hop_ms, dither, normalise, pad_to, spectrum: see `LogSpectrogram`.

    Raises:
        ValueError: if the transform is shorter than the window, or the bands leave the spectrum.
    """

    def __init__(
        self,
        num_features: int = 64,
        sample_rate_hz: int = 16000,
        window_ms: float = 20.0,
        hop_ms: float = 10.0,
        dither: float = 0.0,
        normalise: Normalise = "feature",
        pad_to: int = 8,
        spectrum: Spectrum = _LIBROSA,
        mel: MelScale = _SLANEY,
    ) -> None:
        n_fft = _next_power_of_two(samples_in(window_ms, sample_rate_hz))
        super().__init__(num_features, sample_rate_hz, window_ms, hop_ms, dither, normalise, pad_to, spectrum, n_fft)
        self.mel = mel
        mel.check(sample_rate_hz)

    @classmethod
    def examples(cls) -> list[LogMel]:
        """Small ones for the contract tests."""
        return [cls(10), cls(10, 8000, dither=1e-3, normalise="utterance", pad_to=1)]

    def _make_constants(self) -> dict[str, Tensor]:
        return {"mel": mel_filters(self.num_features, self.n_fft, self.sample_rate_hz, self.mel)}

    def _from_power(self, power: Tensor) -> Tensor:
        return self._log(power @ self._constant("mel", power.device))


class Mfcc(Features):
    """Mel-frequency cepstra: the first ``num_features`` terms of the orthonormal DCT-II of log-mel bands.

    OpenSeq2Seq's "psf" flavour is that of `LogMel` with ``lifter=2 * num_features``. Its "librosa" flavour handed
    linear power spectra to librosa, which expected logarithms of mels; ours is what was meant, without librosa's
    bound of 80 dB under the loudest moment.

    Args:
        num_features: cepstra, the zeroth included.
        num_mels: mel bands; twice ``num_features`` if not given.
        lifter: ``L`` of the weights ``1 + L/2 sin(pi n / L)``; 0 is off.
        mel: where the bands stand.
        sample_rate_hz, window_ms, hop_ms, dither, normalise, pad_to, spectrum: see `LogSpectrogram`.

    Raises:
        ValueError: if there are fewer bands than cepstra, or as `LogMel` says.
    """

    def __init__(
        self,
        num_features: int = 13,
        sample_rate_hz: int = 16000,
        window_ms: float = 20.0,
        hop_ms: float = 10.0,
        dither: float = 0.0,
        normalise: Normalise = "feature",
        pad_to: int = 8,
        spectrum: Spectrum = _LIBROSA,
        mel: MelScale = _SLANEY,
        num_mels: int | None = None,
        lifter: int = 0,
    ) -> None:
        n_fft = _next_power_of_two(samples_in(window_ms, sample_rate_hz))
        super().__init__(num_features, sample_rate_hz, window_ms, hop_ms, dither, normalise, pad_to, spectrum, n_fft)
        self.mel = mel
        self.num_mels = 2 * num_features if num_mels is None else num_mels
        self.lifter = lifter
        mel.check(sample_rate_hz)
        if self.num_mels < num_features:
            raise ValueError(f"num_mels is {self.num_mels}, fewer than the {num_features} cepstra")

    @classmethod
    def examples(cls) -> list[Mfcc]:
        """Small ones for the contract tests."""
        return [cls(7), cls(7, 8000, normalise="none", lifter=14)]

    def _make_constants(self) -> dict[str, Tensor]:
        dct = create_dct(self.num_features, self.num_mels, norm="ortho").double()
        if self.lifter > 0:
            order = torch.arange(self.num_features, dtype=torch.float64)
            dct = dct * (1 + self.lifter / 2 * torch.sin(math.pi * order / self.lifter))
        return {"mel": mel_filters(self.num_mels, self.n_fft, self.sample_rate_hz, self.mel), "dct": dct}

    def _from_power(self, power: Tensor) -> Tensor:
        return self._log(power @ self._constant("mel", power.device)) @ self._constant("dct", power.device)


def samples_in(duration_ms: float, sample_rate_hz: int) -> int:
    """Whole samples of a duration.

    Raises:
        ValueError: if there is none.
    """
    samples = round(duration_ms * sample_rate_hz / 1000)
    if samples < 1:
        raise ValueError(f"{duration_ms} ms at {sample_rate_hz} Hz hold no sample")
    return samples


def _next_power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
