"""Where in its sequence a token stands, as a vector that is added to the token's."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

PositionName = Literal["sinusoidal", "learned", "none"]
PERIOD = 10_000.0


def sinusoids(positions: Tensor, features: int) -> Tensor:
    """Sines and cosines of positions of any shape: an axis of ``features`` behind (Vaswani et al. 2017, section 3.5).

    The first half of the features are sines, the second cosines, of ``position / 10000 ** (i / (features / 2 - 1))``:
    wave lengths from 2 pi to 20000 pi, both reached, as in Tensor2Tensor and OpenSeq2Seq. The paper alternates sines
    and cosines, and divides by ``features / 2``; after the first linear layer the order makes no difference.

    Raises:
        ValueError: if ``features`` is odd or under 4.
    """
    if features % 2 or features < 4:
        raise ValueError(f"features: sinusoidal positions need an even number from 4 up, got {features}")
    half = features // 2
    rates = torch.exp(torch.arange(half, device=positions.device) * (-math.log(PERIOD) / (half - 1)))
    angles = positions[..., None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class SinusoidalPositions(nn.Module):
    """The fixed vectors of `sinusoids`, for sequences of any length.

    Args:
        features: their size; even.
        table_length: up to which position they are kept; those beyond are computed when they occur.

    Raises:
        ValueError: if ``features`` is odd or under 4.
    """

    table: Tensor

    def __init__(self, features: int, table_length: int = 512) -> None:
        super().__init__()
        self.features = features
        # float32 whatever the model's precision, and the same in every checkpoint, so not stored in any
        self.register_buffer("table", sinusoids(torch.arange(table_length), features), persistent=False)

    def forward(self, positions: Tensor, end: int) -> Tensor:
        """Return float32 vectors of int64 ``positions``, all below ``end``: an axis of ``features`` behind."""
        if end <= len(self.table):
            return nn.functional.embedding(positions, self.table)
        return sinusoids(positions, self.features)


class LearnedPositions(nn.Module):
    """A trained vector a position.

    Args:
        features: their size.
        max_length: how many there are.
    """

    def __init__(self, features: int, max_length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_length, features))
        nn.init.normal_(self.weight, std=features**-0.5)

    def forward(self, positions: Tensor, end: int) -> Tensor:
        """Return the vectors of int64 ``positions``, all below ``end``: an axis of ``features`` behind.

        Raises:
            ValueError: if ``end`` is beyond the last vector.
        """
        if end > len(self.weight):
            raise ValueError(f"a sequence of {end} tokens, but positions are learned for max_length {len(self.weight)}")
        return nn.functional.embedding(positions, self.weight)


class NoPositions(nn.Module):
    """Nothing tells positions apart but what attends to them."""

    def forward(self, positions: Tensor, end: int) -> Tensor:
        """Return zero."""
        return torch.zeros((), device=positions.device)


def build_positions(name: PositionName, features: int, max_length: int) -> nn.Module:
    """Return the positions of that name.

    Args:
        name: which.
        features: the size of a vector.
        max_length: how many positions are learned; sinusoidal ones have no end.

    Raises:
        ValueError: for another name, or sizes that do not suit it.
    """
    if name == "sinusoidal":
        return SinusoidalPositions(features)
    if name == "learned":
        return LearnedPositions(features, max_length)
    if name == "none":
        return NoPositions()
    raise ValueError(f"positions must be one of sinusoidal, learned, none; got {name!r}")
