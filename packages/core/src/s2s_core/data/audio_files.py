"""Recordings to samples: any file that libsndfile reads, as one channel at one sample rate."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor

from s2s_core.errors import UserError

if TYPE_CHECKING:
    from torchaudio.transforms import Resample

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".nist", ".aiff", ".aif", ".au"})
"""Endings of the files that `read_audio` is meant for, lower case."""

_TOLERANCE_S = 0.1
"""MP3 encoders pad: a file may decode to this much less than its header or manifest promises."""

_OGG_CUT_SHORT = ("Last page lacks an end-of-stream bit", "Junk after the last page")
_WAV_DATA_CHUNK = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
_STREAMED_SIZE = 0x7FFFF000
"""Programs that write WAV to a pipe do not know the size and put a number from here up."""
_LONGEST_RATIO = 4000
"""A resampling kernel has as many entries as the product of both terms of the ratio of rates."""


def read_audio(
    source: str | Path | BinaryIO,
    sample_rate_hz: int | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    channels: list[int] | None = None,
    name: str | None = None,
) -> tuple[Tensor, int]:
    """Decode a recording (WAV, FLAC, Ogg Vorbis, Opus in Ogg, MP3, NIST SPHERE) to the mean of its channels.

    Args:
        source: a path, or a seekable binary file that holds the recording.
        sample_rate_hz: resample to this rate; the file's own if None.
        start_s: where to begin.
        duration_s: how much to read; to the end if None.
        channels: the channels to average, counted from 0; all if None.
        name: what to call the source in errors; its path if None.

    Returns:
        audio ``(samples,)``, float32 in [-1, 1], and its sample rate.

    Raises:
        UserError: if the file is missing, empty, truncated or in no readable format; the message names it.
    """
    name = str(source) if name is None else name
    try:
        with soundfile.SoundFile(_openable(source)) as file:
            rate = file.samplerate
            samples = _read_samples(file, start_s, duration_s, name)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{name}: {unreadable_reason(source, error)}") from None
    if channels is not None:
        if max(channels) >= samples.shape[1]:
            raise UserError(f"{name}: channel {max(channels)} asked for, the file has {samples.shape[1]}")
        samples = samples[:, channels]
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    audio = torch.from_numpy(np.ascontiguousarray(mono))
    if sample_rate_hz is None or sample_rate_hz == rate:
        return audio, rate
    return resample(audio, rate, sample_rate_hz), sample_rate_hz


class AudioInfo(NamedTuple):
    """What a recording is, by its header or by decoding it."""

    samples: int
    sample_rate_hz: int
    channels: int


def inspect_audio(path: str | Path, decode: bool = True) -> AudioInfo:
    """Find out length, rate and channels of a recording, as `read_audio` would read it.

    Args:
        path: the file.
        decode: decode all of it, which finds damage and counts samples truly; otherwise believe the header.

    Raises:
        UserError: as `read_audio`.
    """
    try:
        with soundfile.SoundFile(_openable(path)) as file:
            check_is_whole(file, str(path))
            samples = len(_read_samples(file, 0.0, None, str(path))) if decode else file.frames
            if not samples:
                raise UserError(f"{path}: empty: the file holds no samples")
            return AudioInfo(samples, file.samplerate, file.channels)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: {unreadable_reason(path, error)}") from None


def resample(audio: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Change the rate of ``(..., samples)`` with torchaudio's windowed sinc; equal rates give ``audio`` itself."""
    return audio if from_hz == to_hz else _resampler(from_hz, to_hz)(audio)


def resampled(blocks: Iterator[Tensor], from_hz: int, to_hz: int) -> Iterator[Tensor]:
    """Resample block by block, with the result of resampling all at once.

    Windowed-sinc interpolation repeats itself after ``down`` input and ``up`` output samples, so blocks of a multiple
    of ``down`` with enough context on both sides join without a seam. Ratios with terms above 4000, as of 16001 to
    16000 Hz, are replaced by the nearest below, which stretches time by less than 0.03 %.
    """
    ratio = Fraction(to_hz, from_hz)
    if max(ratio.numerator, ratio.denominator) > _LONGEST_RATIO:
        ratio = ratio.limit_denominator(max(1, min(_LONGEST_RATIO, int(_LONGEST_RATIO / ratio))))
    if ratio == 1:
        yield from blocks
        return
    up, down = ratio.numerator, ratio.denominator
    change = _resampler(down, up)
    periods = math.ceil(change.width / down)  # of context on each side
    context = periods * down
    held = torch.zeros(context)
    for block in blocks:
        held = torch.cat([held, block])
        ready = (len(held) - 2 * context) // down
        if ready > 0:
            yield change(held[: ready * down + 2 * context])[periods * up : (periods + ready) * up]
            held = held[ready * down :]
    rest = math.ceil((len(held) - context) * ratio)
    yield change(torch.cat([held, torch.zeros(context)]))[periods * up : periods * up + rest]


@lru_cache(maxsize=16)
def _resampler(from_hz: int, to_hz: int) -> Resample:
    from torchaudio.transforms import Resample

    return Resample(from_hz, to_hz)


def _openable(source: str | Path | BinaryIO) -> str | BinaryIO:
    return os.fspath(source) if isinstance(source, str | Path) else source


def _read_samples(file: soundfile.SoundFile, start_s: float, duration_s: float | None, name: str) -> np.ndarray:
    rate = file.samplerate
    first = round(start_s * rate)
    if first > file.frames:
        raise UserError(f"{name}: asked to start at {start_s:g} s, the file lasts {file.frames / rate:g} s")
    expected = file.frames - first if duration_s is None else round(duration_s * rate)
    if duration_s is None:
        check_is_whole(file, name)
    if first:
        file.seek(first)
    samples = file.read(expected, dtype="float32", always_2d=True)
    if expected and not len(samples):
        raise UserError(f"{name}: empty or truncated: no samples where {expected / rate:.2f} s were expected")
    if not len(samples):
        raise UserError(f"{name}: empty: the file holds no samples")
    if len(samples) < expected - _TOLERANCE_S * rate:
        raise UserError(f"{name}: truncated: {len(samples) / rate:.2f} s of {expected / rate:.2f} s")
    return samples


def check_is_whole(file: soundfile.SoundFile, name: str) -> None:
    """Raise UserError if an open WAV or Ogg file ends before its time.

    libsndfile takes what there is of such a file for the whole; only its log tells.
    """
    log = file.extra_info
    if file.format in ("OGG", "OGA") and all(line in log for line in _OGG_CUT_SHORT):
        raise UserError(f"{name}: truncated: the last page is cut short, after {file.frames / file.samplerate:.2f} s")
    mismatch = _WAV_DATA_CHUNK.search(log) if file.format == "WAV" else None
    if mismatch:
        promised, present = int(mismatch[1]), int(mismatch[2])
        if present < promised < _STREAMED_SIZE:
            raise UserError(f"{name}: truncated: {present} bytes of samples, the header promises {promised}")


def unreadable_reason(source: str | Path | BinaryIO, error: soundfile.LibsndfileError) -> str:
    """What a user should know of a recording that libsndfile refused."""
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            return "no such file"
        if not path.is_file():
            return "not a file"
        if not os.access(path, os.R_OK):
            return "no permission to read it"
        if path.stat().st_size == 0:
            return "empty file"
    return f"not readable audio: {error.error_string.strip().rstrip('.')}"
