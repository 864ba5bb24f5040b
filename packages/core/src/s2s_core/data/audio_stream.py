"""Audio that arrives piece by piece on a pipe: WAV, or bare 16-bit samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from s2s_core.errors import UserError

NAME = "standard input"
_PIECE = 1 << 14
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_TYPES = {(_PCM, 16): np.dtype("<i2"), (_PCM, 32): np.dtype("<i4"), (_FLOAT, 32): np.dtype("<f4")}


class _Format(NamedTuple):
    sample_rate_hz: int
    channels: int
    kind: np.dtype


def open_stream(source: BinaryIO, raw_rate_hz: int) -> tuple[Iterator[Tensor], int]:
    """Read a stream as it comes: mono pieces ``(samples,)``, float32 in [-1, 1], and their sample rate.

    What begins with ``RIFF`` is WAV (16 or 32 bits, or float32; sizes in its header are not believed, since a program
    that writes to a pipe does not know them); anything else is bare 16-bit little-endian samples of one channel.

    Args:
        source: where to read; ``read1`` returns what there is.
        raw_rate_hz: the rate of bare samples.

    Raises:
        UserError: if the stream is empty, or WAV of another encoding.
    """
    start = _exactly(source, 4)
    if not start:
        raise UserError(f"{NAME}: empty; expected WAV or bare 16-bit samples")
    if start == b"RIFF":
        form = _wav_header(source)
        start = b""
    else:
        form = _Format(raw_rate_hz, 1, _TYPES[_PCM, 16])
    return _pieces(source, start, form), form.sample_rate_hz


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data += more
    return data


def _wav_header(source: BinaryIO) -> _Format:
    if _exactly(source, 8)[4:] != b"WAVE":
        raise UserError(f"{NAME}: begins as RIFF, but is not WAV")
    form: _Format | None = None
    while True:
        head = _exactly(source, 8)
        if len(head) < 8:
            raise UserError(f"{NAME}: WAV without samples")
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            break
        content = _exactly(source, size + size % 2)
        if len(content) < size:
            raise UserError(f"{NAME}: WAV without samples")
        if name == b"fmt ":
            form = _wav_format(content)
    if form is None:
        raise UserError(f"{NAME}: WAV whose samples come before their format")
    return form


def _wav_format(content: bytes) -> _Format:
    if len(content) < 16:
        raise UserError(f"{NAME}: WAV whose format takes {len(content)} bytes, expected 16 or more")
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
    if code == _EXTENSIBLE and len(content) >= 26:
        (code,) = struct.unpack_from("<H", content, 24)
    if (code, bits) not in _TYPES or not channels or not rate:
        raise UserError(f"{NAME}: WAV of format {code} with {bits} bits; expected 16 or 32 bits, or 32-bit float")
    return _Format(rate, channels, _TYPES[code, bits])


def _pieces(source: BinaryIO, start: bytes, form: _Format) -> Iterator[Tensor]:
    frame = form.kind.itemsize * form.channels
    read = getattr(source, "read1", source.read)  # what is there, not all that was asked for
    held = start
    while more := read(_PIECE):
        held += more
        whole = len(held) // frame * frame
        samples = np.frombuffer(held[:whole], form.kind).reshape(-1, form.channels)
        held = held[whole:]
        if len(samples):
            scale = 1.0 if form.kind.kind == "f" else float(np.iinfo(form.kind).max) + 1.0
            yield torch.from_numpy(samples.mean(axis=1, dtype=np.float64) / scale).float()
