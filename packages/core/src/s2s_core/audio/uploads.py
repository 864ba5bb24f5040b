"""Recordings that strangers send: decoded within bounds, whatever their header says."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch
from torch import Tensor

from s2s_core.data.audio_files import read_audio, resampled
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Upload

LOWEST_HZ, HIGHEST_HZ = 4_000, 384_000
MOST_CHANNELS = 16
SAMPLES_PER_S = 2 * 48_000
"""Of all channels, on average over the seconds that are taken: silence compresses to nothing, and memory is not."""


def read_upload(upload: Upload, sample_rate_hz: int, most_s: float) -> Tensor:
    """Decode an uploaded recording to the mean of its channels.

    Args:
        upload: the recording, in any format that `read_audio` knows.
        sample_rate_hz: resample to this rate, as recordings on disk are.
        most_s: seconds that are taken.

    Returns:
        audio ``(samples,)``, float32 in [-1, 1].

    Raises:
        TooLong: if it lasts longer.
        UserError: if it is empty, no audio, cut short, or of a rate or number of channels that no recording has.
    """
    if not upload.file.seek(0, 2):
        raise UserError(f"{upload.name}: empty file")
    _check_header(upload, most_s)
    upload.file.seek(0)
    audio, rate = read_audio(upload.file, name=upload.name)
    if not bool(audio.isfinite().all()):
        raise UserError(f"{upload.name}: holds samples that are infinite or no number")
    # by blocks, whose kernels are bounded: rates without a common divisor would take gigabytes otherwise
    return torch.cat(list(resampled(iter([audio]), rate, sample_rate_hz)))


def _check_header(upload: Upload, most_s: float) -> None:
    from s2s_core.serving.endpoint import TooLong

    upload.file.seek(0)
    try:
        with soundfile.SoundFile(upload.file) as file:
            rate, frames, channels = file.samplerate, file.frames, file.channels
    except soundfile.LibsndfileError as error:
        raise UserError(f"{upload.name}: not readable audio: {error.error_string.strip().rstrip('.')}") from None
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise UserError(f"{upload.name}: {rate} samples a second, expected {LOWEST_HZ} to {HIGHEST_HZ}")
    if channels > MOST_CHANNELS:
        raise UserError(f"{upload.name}: {channels} channels, expected at most {MOST_CHANNELS}")
    if frames > most_s * rate:
        raise TooLong(f"{upload.name}: lasts {frames / rate:.1f} s, expected at most {most_s:g} s")
    if frames * channels > most_s * SAMPLES_PER_S:
        most = f"{most_s * SAMPLES_PER_S:g}, as {most_s:g} s of stereo at 48 kHz have"
        raise TooLong(f"{upload.name}: holds {frames * channels} samples, expected at most {most}")


def wav_bytes(audio: np.ndarray, sample_rate_hz: int) -> bytes:
    """A WAV file of 16-bit samples from ``(samples,)``, float in [-1, 1]."""
    held = io.BytesIO()
    soundfile.write(held, audio, sample_rate_hz, format="WAV", subtype="PCM_16")
    return held.getvalue()
