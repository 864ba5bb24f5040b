"""What normalisation takes from a whole recording, measured on one that comes in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from s2s_core.audio.features import Features


class Measures(NamedTuple):
    """Of one recording, or stacked of a batch of them."""

    peak: Tensor
    """``(...)``, the largest absolute sample."""
    mean: Tensor
    """``(..., features)``, of the features before normalisation."""
    deviation: Tensor
    """``(..., features)``."""

    @classmethod
    def stack(cls, rows: Sequence[Measures]) -> Measures:
        """Measures of a batch."""
        return cls(*(torch.stack(column) for column in zip(*rows, strict=True)))


def measure(features: Features, pieces: Callable[[], Iterator[tuple[Tensor, slice]]]) -> Measures:
    """Measure a recording that is too long to be held: its pieces are read twice, one at a time.

    Args:
        features: whose normalisation it is for.
        pieces: gives ``(samples,)`` and the frames of it that count; over all pieces each frame counts once.
    """
    peak = max(piece.abs().amax() for piece, _ in pieces() if len(piece))
    count, total, squares = 0, torch.zeros(1), torch.zeros(1)
    for piece, keep in pieces():
        lengths = torch.tensor([len(piece)], device=piece.device)
        raw = features.unnormalised(piece[None], lengths, peak[None])[0, : int(features.output_lengths(lengths))]
        frames = raw[keep].double()
        count += len(frames)
        total, squares = total.to(frames) + frames.sum(0), squares.to(frames) + frames.square().sum(0)
    if features.normalise == "utterance":  # over all features alike
        total, squares = total.mean().expand_as(total), squares.mean().expand_as(squares)
    mean = total / max(count, 1)
    variance = squares / max(count, 1) - mean.square()  # float64 has digits enough for the difference
    return Measures(peak, mean.float(), variance.clamp(min=0).sqrt().float())
