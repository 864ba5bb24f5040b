"""How well a synthesiser follows its text, ends it, and sounds like the recording."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from s2s_core.nn.mask import length_mask
from s2s_tts.interfaces import Prediction

STOP_TOLERANCE = 2
"""Steps by which a stop may miss the true end and still count."""
_CEPSTRA = 13
_DECIBELS = 10 * math.sqrt(2) / math.log(10)


def alignment_measures(alignments: Tensor, step_lengths: Tensor, token_lengths: Tensor) -> dict[str, Tensor]:
    """Measure how steps attend to tokens: each ``(batch,)``, 1 is best.

    Args:
        alignments: ``(batch, steps, tokens)``, a step's weights sum to 1.
        step_lengths, token_lengths: ``(batch,)``; what lies beyond them does not count.

    Returns:
        ``diagonality``: the correlation of a step's place with the place that it attends to on average. ``focus``: the
        mean of steps' largest weights (Ren et al. 2019, section 3.3). ``coverage``: the share of tokens to which some
        step gives more weight than an equal share of its attention.
    """
    weights = alignments.float()
    steps, tokens = weights.shape[1:]
    real = length_mask(step_lengths, steps)
    weights = weights.masked_fill(~real[..., None], 0.0)
    places = torch.arange(tokens, device=weights.device, dtype=torch.float32)
    times = torch.arange(steps, device=weights.device, dtype=torch.float32).expand(len(weights), -1)
    heard = weights.amax(1) > 1 / token_lengths[:, None].clamp(min=2)
    said = length_mask(token_lengths, tokens)
    return {
        "diagonality": _correlation(times, weights @ places, real),
        "focus": (weights.amax(2) * real).sum(1) / step_lengths,
        "coverage": (heard & said).sum(1) / token_lengths,
    }


def _correlation(x: Tensor, y: Tensor, real: Tensor) -> Tensor:
    count = real.sum(1, keepdim=True).clamp(min=1)
    x, y = ((z - (z * real).sum(1, keepdim=True) / count) * real for z in (x, y))
    return (x * y).sum(1) / (x.square().sum(1) * y.square().sum(1)).sqrt().clamp(min=1e-8)


def stops_right(prediction: Prediction) -> Tensor:
    """``(batch,)`` bool: whether, under teacher forcing, the first stop comes within two steps of the true end."""
    stops = prediction.stop_logits > 0
    stops &= length_mask(prediction.step_lengths, stops.shape[1])
    first = torch.where(stops.any(1), stops.int().argmax(1), torch.iinfo(torch.int64).max // 2)
    return (first - (prediction.step_lengths - 1)).abs() <= STOP_TOLERANCE


def mel_cepstral_distortion(made: Tensor, true: Tensor) -> float:
    """Distance in dB of two log-mel spectrograms ``(frames, bands)`` of any lengths, frames matched by time warping.

    ``10 sqrt(2) / ln 10`` times the Euclidean distance of cepstra 1 to 13 (Kubichek 1993), the zeroth, loudness, left
    out, averaged over the cheapest path of matches (Battenberg et al. 2020, section 4.1): the root mean square, over
    the bands, of what smoothed spectra differ by in dB. The cepstra are of the mel spectrogram's own bands, so figures
    of other analyses are not quite comparable.
    """
    a, b = _cepstra(made), _cepstra(true)
    return _warped_mean(_DECIBELS * torch.cdist(a[None], b[None])[0].numpy())


def _cepstra(mel: Tensor) -> Tensor:
    bands = mel.shape[1]
    angles = torch.arange(1, _CEPSTRA + 1)[:, None] * (torch.arange(bands) + 0.5) * (math.pi / bands)
    # so that log magnitude at angle w is the sum of cepstrum m times cos(m w); an orthonormal transform's would be
    # sqrt(bands / 2) times as large, and the distortion with them
    basis = 2 / bands * angles.cos()
    return mel.double().cpu() @ basis.double().T


def _warped_mean(distance: np.ndarray) -> float:
    """The mean of the entries along the path from corner to corner with the smallest sum."""
    rows, columns = distance.shape
    # Paths of one anti-diagonal come from the two before it, so that each is made at once. Sums and lengths of paths
    # are by row, ``distance`` beginning with row and column 1; there is one path before it, and none beside it.
    earlier, previous = _Paths.none(rows + 1), _Paths.none(rows + 1)
    earlier.sums[0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        row = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        sums = np.stack((earlier.sums[row - 1], previous.sums[row - 1], previous.sums[row]))
        lengths = np.stack((earlier.lengths[row - 1], previous.lengths[row - 1], previous.lengths[row]))
        best = sums.argmin(0), np.arange(len(row))
        paths = _Paths.none(rows + 1)
        paths.sums[row] = sums[best] + distance[row - 1, diagonal - row - 1]
        paths.lengths[row] = lengths[best] + 1
        earlier, previous = previous, paths
    return float(previous.sums[rows] / previous.lengths[rows])


class _Paths(NamedTuple):
    sums: np.ndarray
    lengths: np.ndarray

    @classmethod
    def none(cls, count: int) -> _Paths:
        return cls(np.full(count, np.inf), np.zeros(count))
