"""Recorded noise under speech."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from s2s_core.audio.augment.augment import WaveAugment, check_probability, check_range, uniform
from s2s_core.data.audio_files import AUDIO_SUFFIXES, read_audio
from s2s_core.errors import UserError
from s2s_core.nn.mask import length_mask


class BackgroundNoise(WaveAugment):
    """Adds a stretch of a recording at a signal-to-noise ratio drawn evenly in decibels.

    Powers are means over the utterance, pauses included. A recording shorter than the utterance is repeated. All
    recordings are read at the first use and kept in memory: 230 MB an hour at 16 kHz. Until then the folder need not
    exist, so that a trained model loads where it is missing.

    Args:
        folder: searched with its subfolders for recordings of any rate; channels are averaged.
        min_snr_db, max_snr_db: speech over noise.
        probability: of adding noise to an utterance at all.
        sample_rate_hz: of the audio that will come.

    Raises:
        ValueError: if the range is empty or the probability none.
        UserError: at the first use, if there is no recording in the folder or one cannot be read.
    """

    def __init__(
        self,
        folder: str,
        min_snr_db: float = 10.0,
        max_snr_db: float = 40.0,
        probability: float = 0.5,
        sample_rate_hz: int = 16000,
    ) -> None:
        check_range("snr_db", min_snr_db, max_snr_db)
        check_probability(probability)
        self.folder = folder
        self.min_snr_db = min_snr_db
        self.max_snr_db = max_snr_db
        self.probability = probability
        self.sample_rate_hz = sample_rate_hz
        self._recordings: list[Tensor] = []

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if not self._recordings:
            self._recordings = _read_folder(Path(self.folder), self.sample_rate_hz)
        snr_db = uniform(self.min_snr_db, self.max_snr_db, (len(audio), 1), generator)
        chosen = torch.rand(len(audio), 1, generator=generator) < self.probability
        mask = length_mask(audio_lengths, audio.size(1))
        stretches = torch.stack([self._stretch(audio.size(1), generator) for _ in range(len(audio))])
        noise = stretches.to(audio.device).masked_fill(~mask, 0.0)
        # means over the same samples: their number cancels
        speech_power, noise_power = (x.square().sum(dim=1, keepdim=True) for x in (audio, noise))
        ratio = torch.pow(10.0, -snr_db / 10) * chosen
        scale = (speech_power * ratio.to(audio.device) / noise_power.clamp(min=1e-10)).sqrt()
        return audio + noise * scale, audio_lengths

    def _stretch(self, samples: int, generator: Generator) -> Tensor:
        which = int(torch.randint(len(self._recordings), (), generator=generator))
        recording = self._recordings[which]
        start = int(torch.randint(len(recording), (), generator=generator))
        if start + samples <= len(recording):
            return recording[start : start + samples]
        return recording[(start + torch.arange(samples)) % len(recording)]


def _read_folder(folder: Path, sample_rate_hz: int) -> list[Tensor]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise UserError(f"{folder}: expected a folder with recordings of noise ({', '.join(sorted(AUDIO_SUFFIXES))})")
    wanted = "expected a recording of noise"
    return [read_audio(path, sample_rate_hz, name=f"{path}: {wanted}")[0] for path in paths]
