"""Pictures that a person can judge a synthesiser by, without a plotting library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from torch import Tensor

from s2s_core.tracking.samples import heat_map

_CELL = 2
_GAP = 4


def over_time(values: Tensor, low: float | None = None, high: float | None = None) -> np.ndarray:
    """A matrix ``(time, feature)`` as an image, time to the right and feature upwards; see `heat_map`."""
    return heat_map(values.T, True, low, high, _CELL)


def stacked(images: Iterable[np.ndarray]) -> np.ndarray:
    """Images one under the other, each stretched to the width of the widest, with white between them."""
    rows = list(images)
    width = max(image.shape[1] for image in rows)
    parts = []
    for image in rows:
        columns = np.arange(width) * image.shape[1] // width
        parts += [image[:, columns], np.full((_GAP, width, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1])


def synthesis_picture(mel: Tensor, true_mel: Tensor | None, alignment: Tensor, stop: Tensor) -> np.ndarray:
    """From top to bottom: the true spectrogram where there is one, the predicted one, the alignment, the stop token.

    Args:
        mel: ``(frames, bands)``.
        true_mel: ``(frames, bands)``.
        alignment: ``(steps, tokens)``.
        stop: ``(steps,)``, probabilities.
    """
    reference = mel if true_mel is None else true_mel
    low, high = float(reference.min()), float(reference.max())
    spectrograms = [] if true_mel is None else [over_time(true_mel, low, high)]
    bar = over_time(stop[:, None].expand(-1, 4), 0.0, 1.0)
    return stacked([*spectrograms, over_time(mel, low, high), over_time(alignment, 0.0, 1.0), bar])


def png(image: np.ndarray) -> bytes:
    """An image ``(height, width, 3)`` of bytes as a PNG file."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(image))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    parts = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
