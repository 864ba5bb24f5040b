"""Recordings of any format, rate, channel count and length, read block by block as mono at one rate."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor

from s2s_core.data.audio_files import check_is_whole, resampled, unreadable_reason
from s2s_core.errors import UserError

STANDARD_INPUT = "-"
BLOCK_S = 10.0
TOLERANCE_S = 0.1
"""MP3 encoders pad: a file may decode to this much less than its header promises."""


class Waveform(NamedTuple):
    """Audio in memory."""

    samples: np.ndarray | Tensor
    """``(samples,)`` or ``(samples, channels)``: floats in [-1, 1], or integers that use their type's range."""
    sample_rate_hz: int


@dataclass(frozen=True)
class Recording:
    """Audio to be read when its turn comes."""

    name: str
    sample_rate_hz: int
    duration_s: float
    """What the header says; what is read may differ where a format only estimates its length."""
    read: Callable[[], Iterator[np.ndarray]]
    """Each call reads anew and yields blocks ``(samples, channels)`` or ``(samples,)``."""

    def blocks(self, sample_rate_hz: int) -> Iterator[Tensor]:
        """Yield mono blocks ``(samples,)`` of float32 at the given rate.

        Raises:
            UserError: if the audio is damaged, empty, or holds a sample that is no number.
        """
        return resampled(self._mono(), self.sample_rate_hz, sample_rate_hz)

    def _mono(self) -> Iterator[Tensor]:
        empty = True
        for block in self.read():
            mono = torch.from_numpy(np.array(block if block.ndim == 1 else block.mean(axis=1), dtype=np.float32))
            if not bool(mono.isfinite().all()):
                raise UserError(f"{self.name}: holds samples that are infinite or no number")
            empty = empty and not len(mono)
            yield mono
        if empty:
            raise UserError(f"{self.name}: has no audio")


def from_waveform(waveform: Waveform, name: str) -> Recording:
    """A recording of audio in memory.

    Raises:
        UserError: if the samples are neither ``(samples,)`` nor ``(samples, channels)``.
    """
    given = waveform.samples
    samples = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if samples.ndim not in (1, 2):
        raise UserError(f"{name}: samples have shape {samples.shape}, expected (samples,) or (samples, channels)")
    if np.issubdtype(samples.dtype, np.integer):
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    duration_s = len(samples) / waveform.sample_rate_hz
    return Recording(name, waveform.sample_rate_hz, duration_s, lambda: iter([samples]))


def open_recording(path: str | Path) -> Recording:
    """A recording in a file, or ``-`` for one on standard input.

    Raises:
        UserError: if the file is absent, cut short, or not audio.
    """
    if str(path) == STANDARD_INPUT:
        return _standard_input()
    rate, duration_s = _header(str(path), path)
    return Recording(str(path), rate, duration_s, lambda: _read(str(path), path))


def _standard_input() -> Recording:
    # libsndfile needs to seek, and a long recording has no place in memory
    spool = tempfile.NamedTemporaryFile(prefix="s2s-")  # noqa: SIM115 - removed with the recording, which holds it
    shutil.copyfileobj(sys.stdin.buffer, spool)
    spool.flush()
    name = "standard input"
    rate, duration_s = _header(name, spool.name)
    return Recording(name, rate, duration_s, lambda: _read(name, spool.name))


def _header(name: str, path: str | Path) -> tuple[int, float]:
    with _sound_file(name, path) as file:
        check_is_whole(file, name)
        return file.samplerate, file.frames / file.samplerate


def _read(name: str, path: str | Path) -> Iterator[np.ndarray]:
    with _sound_file(name, path) as file:
        size = int(BLOCK_S * file.samplerate)
        done = 0
        while True:
            try:
                block = file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise UserError(f"{name}: {unreadable_reason(path, error)}, past {_s(done, file)}") from None
            if not len(block):
                break
            done += len(block)
            yield block
        if done < file.frames - TOLERANCE_S * file.samplerate:
            raise UserError(f"{name}: truncated: {_s(done, file)} of {_s(file.frames, file)}")


def _s(samples: int, file: soundfile.SoundFile) -> str:
    return f"{samples / file.samplerate:.2f} s"


def _sound_file(name: str, path: str | Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{name}: {unreadable_reason(path, error)}") from None
