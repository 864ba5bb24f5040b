"""Tempo and pitch, each without the other."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from s2s_core.audio.augment.augment import WaveAugment, uniform
from s2s_core.audio.features import samples_in
from s2s_core.nn.mask import length_mask

_WINDOW_MS = 32.0
_HOPS_PER_WINDOW = 4
_TAPS = 8
"""Zero crossings of the interpolating sinc to each side."""


class Stretch(WaveAugment):
    """Plays each recording faster or slower at its own pitch, by a factor drawn evenly (a phase vocoder).

    Flanagan and Golden 1966; OpenSeq2Seq's ``time_stretch_ratio`` (0.2 for speech commands).

    Args:
        max_change: factors are within 1 ± this; a factor of 1.1 makes a recording 1.1 times shorter.
        sample_rate_hz: of the audio that will come.

    Raises:
        ValueError: if ``max_change`` is not in [0, 1).
    """

    def __init__(self, max_change: float = 0.2, sample_rate_hz: int = 16000) -> None:
        if not 0 <= max_change < 1:
            raise ValueError(f"max_change must be in [0, 1), got {max_change}")
        self.max_change = max_change
        self.sample_rate_hz = sample_rate_hz
        samples_in(_WINDOW_MS, sample_rate_hz)

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        factors = uniform(1 - self.max_change, 1 + self.max_change, (len(audio),), generator)
        width = math.ceil(audio.size(1) / float(factors.min()))
        factors = factors.to(audio.device)
        lengths = (audio_lengths / factors).ceil().long().clamp(min=1) * (audio_lengths > 0)
        if audio.device.type == "cpu":
            width = int(lengths.max())  # elsewhere this would wait for the device; then a slow row leaves padding
        changed = vocode(audio, factors, width, self.sample_rate_hz)
        return changed.masked_fill(~length_mask(lengths, width), 0.0), lengths


class Pitch(WaveAugment):
    """Moves the pitch of each recording at its own tempo, by semitones drawn evenly.

    A phase vocoder slows the recording down, band-limited interpolation speeds it up again: formants move with the
    pitch. OpenSeq2Seq's ``pitch_shift_steps`` (2 for speech commands), there in whole semitones.

    Args:
        max_semitones: either way.
        sample_rate_hz: of the audio that will come.

    Raises:
        ValueError: if the bound is negative or above an octave.
    """

    def __init__(self, max_semitones: float = 2.0, sample_rate_hz: int = 16000) -> None:
        if not 0 <= max_semitones <= 12:
            raise ValueError(f"max_semitones must be 0 to 12, got {max_semitones}")
        self.max_semitones = max_semitones
        self.sample_rate_hz = sample_rate_hz
        samples_in(_WINDOW_MS, sample_rate_hz)

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        semitones = uniform(-self.max_semitones, self.max_semitones, (len(audio),), generator)
        factors = 2 ** (semitones / 12)
        longest = math.ceil(audio.size(1) * float(factors.max()))
        factors = factors.to(audio.device)
        slowed = vocode(audio, 1 / factors, longest, self.sample_rate_hz)
        changed = played_faster(slowed, factors, audio.size(1))
        return changed.masked_fill(~length_mask(audio_lengths, audio.size(1)), 0.0), audio_lengths


def vocode(audio: Tensor, factors: Tensor, width: int, sample_rate_hz: int) -> Tensor:
    """Change the tempo of ``(batch, samples)`` by a factor a row, keeping the pitch: ``(batch, width)``."""
    window = samples_in(_WINDOW_MS, sample_rate_hz)
    hop = max(1, window // _HOPS_PER_WINDOW)
    shape = torch.hann_window(window, device=audio.device)
    audio = F.pad(audio, (0, window))  # so that the last frames hold what there is of the sound
    spectra = torch.stft(audio, window, hop, window=shape, center=True, pad_mode="constant", return_complex=True)
    frames = -(-width // hop) + 1
    places = torch.arange(frames, device=audio.device) * factors[:, None]
    index = places.long().clamp(max=spectra.size(2) - 1)
    following = F.pad(spectra, (0, 1))
    rows = index[:, None, :].expand(-1, spectra.size(1), -1)
    here, there = following.gather(2, rows), following.gather(2, rows + 1)
    share = (places - places.floor())[:, None, :]
    magnitude = (1 - share) * here.abs() + share * there.abs()
    # analysis and synthesis share the hop, so what the phase gains from frame to frame is that of the input
    advance = there.angle() - here.angle()
    phase = torch.cat([here[:, :, :1].angle(), advance[:, :, :-1]], dim=2).cumsum(dim=2)
    return torch.istft(torch.polar(magnitude, phase), window, hop, window=shape, center=True, length=width)


def played_faster(audio: Tensor, factors: Tensor, width: int) -> Tensor:
    """Read ``(batch, samples)`` at ``n * factor`` for ``n < width``, with a windowed sinc that bars aliases."""
    places = torch.arange(width, device=audio.device) * factors[:, None]
    whole = places.long()
    part = places - whole
    cutoff = (1 / factors).clamp(max=1)[:, None]
    result = torch.zeros_like(places)
    for tap in range(1 - _TAPS, _TAPS + 1):
        distance = part - tap
        weight = cutoff * torch.sinc(cutoff * distance) * torch.cos(math.pi / 2 * distance / _TAPS).square()
        weight = weight.masked_fill(distance.abs() >= _TAPS, 0.0)
        source = whole + tap
        inside = (source >= 0) & (source < audio.size(1))
        result += weight * audio.gather(1, source.clamp(0, audio.size(1) - 1)).masked_fill(~inside, 0.0)
    return result
