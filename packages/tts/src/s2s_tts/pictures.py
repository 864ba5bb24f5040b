"""Pictures that a person can judge a synthesiser by, without a plotting library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from torch import Tensor

_COLOURS = np.array(
    [[0, 0, 4], [60, 15, 110], [140, 40, 110], [220, 80, 60], [252, 160, 20], [252, 255, 164]], dtype=np.float64
)
_GAP = 4


def heat_map(values: Tensor, low: float | None = None, high: float | None = None, scale: int = 1) -> np.ndarray:
    """A matrix ``(time, feature)`` as an image ``(feature, time, 3)``, time to the right and feature upwards.

    Args:
        values: the matrix.
        low, high: what is black and what is brightest; the smallest and largest value if None.
        scale: pixels a value is wide and high.
    """
    array = values.detach().float().cpu().numpy().T[::-1]
    low = float(array.min()) if low is None else low
    high = float(array.max()) if high is None else high
    place = np.clip((array - low) / max(high - low, 1e-9), 0, 1) * (len(_COLOURS) - 1)
    index = np.minimum(place.astype(int), len(_COLOURS) - 2)
    share = (place - index)[..., None]
    image = _COLOURS[index] * (1 - share) + _COLOURS[index + 1] * share
    return np.kron(image.round().astype(np.uint8), np.ones((scale, scale, 1), np.uint8))


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
    spectrograms = [] if true_mel is None else [heat_map(true_mel, low, high, 2)]
    bar = heat_map(stop[:, None].expand(-1, 4), 0.0, 1.0, 2)
    return stacked([*spectrograms, heat_map(mel, low, high, 2), heat_map(alignment, 0.0, 1.0, 2), bar])


def png(image: np.ndarray) -> bytes:
    """An image ``(height, width, 3)`` of bytes as a PNG file."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(image))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    parts = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
