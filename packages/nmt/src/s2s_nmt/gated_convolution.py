"""What ConvS2S's encoder and decoder are made of: weight normalisation, gated convolutions, learned positions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.dropout import dropout
from s2s_core.nn.embedding import Embedding
from s2s_core.nn.linear import linear
from s2s_core.nn.positions import LearnedPositions

HALF = math.sqrt(0.5)
"""Scales a sum of two back to the variance of one (Gehring et al. 2017, section 3.4)."""
EMBEDDING_STD = 0.1


@dataclass
class ConvBlock:
    """Gated convolutions of one size."""

    channels: int
    kernel: int = 3
    repeat: int = 1
    """How many there are."""


@dataclass
class ConvS2SLayers:
    """What the convolutions of a ConvS2S encoder or decoder have in common."""

    blocks: list[ConvBlock] = field(default_factory=lambda: [ConvBlock(256, 3, 4)])
    embedding_dropout: float = 0.1
    """Drop probability of embeddings."""
    hidden_dropout: float = 0.1
    """Drop probability of each convolution's input."""
    positions: bool = True
    """Whether a learned vector of each position is added to the embeddings."""
    max_length: int = 1024
    """How many positions have a vector of their own; those behind share the last one's."""

    def __post_init__(self) -> None:
        if not self.blocks:
            raise ValueError("blocks: expected at least one convolution")
        for block in self.blocks:
            if min(block.channels, block.kernel, block.repeat) < 1:
                raise ValueError(f"blocks: channels, kernel and repeat must be at least 1, got {block}")

    @property
    def convolutions(self) -> list[ConvBlock]:
        """The blocks with their repetitions spelt out."""
        return [block for block in self.blocks for _ in range(block.repeat)]


class WeightNormLinear(nn.Module):
    """A linear layer whose rows have lengths of their own (Salimans and Kingma 2016): ``g * v / |v|``.

    ``v`` starts normal with variance ``gain * keep / in_features``, ``g`` as its rows' lengths, the bias at zero.

    Args:
        in_features: the size of the last axis.
        out_features: its size afterwards.
        gain: 1, or 4 before a gated linear unit (Gehring et al. 2017, section 3.5).
        dropout: the drop probability of its input, ``1 - keep``.
    """

    def __init__(self, in_features: int, out_features: int, gain: float = 1.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.normal_(self.direction, std=math.sqrt(gain * (1 - dropout) / in_features))
        self.length = nn.Parameter(self.direction.detach().norm(dim=1))
        self.bias = nn.Parameter(torch.zeros(out_features))

    @property
    def weight(self) -> Tensor:
        """``(out_features, in_features)``."""
        return self.direction * (self.length / self.direction.norm(dim=1))[:, None]

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class GatedConvolution(nn.Module):
    """Dropout, a convolution and a gated linear unit (Dauphin et al. 2017): ``a * sigmoid(b)``.

    Args:
        in_features: channels in.
        channels: channels out.
        kernel: taps.
        dropout: of the input.
    """

    def __init__(self, in_features: int, channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.in_features = in_features
        self.kernel = kernel
        self.dropout = dropout
        self.taps = WeightNormLinear(kernel * in_features, 2 * channels, gain=4.0, dropout=dropout)
        self.skip = WeightNormLinear(in_features, channels) if in_features != channels else None

    def skipped(self, x: Tensor) -> Tensor:
        """What goes around the convolution, in the size that comes out of it."""
        return x if self.skip is None else self.skip(x)

    def drop(self, x: Tensor) -> Tensor:
        """Dropout, where there is training."""
        return dropout(x, self.dropout, self.training)

    def forward(self, windows: Tensor, weight: Tensor | None = None) -> Tensor:
        """``(frames, kernel * in_features)`` to ``(frames, channels)``; ``weight`` if it is computed already."""
        return F.glu(linear(windows, self.taps.weight if weight is None else weight, self.taps.bias), dim=1)


class ConvS2SInput(nn.Module):
    """Tokens to vectors: embedding, positions, dropout.

    Args:
        embedding_size: of a vector.
        layers: the rest.
    """

    def __init__(self, embedding_size: int, layers: ConvS2SLayers) -> None:
        super().__init__()
        self.dropout = layers.embedding_dropout
        self.positions = LearnedPositions(embedding_size, layers.max_length) if layers.positions else None
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=EMBEDDING_STD)

    def forward(self, tokens: Tensor, places: Tensor, embedding: nn.Embedding) -> Tensor:
        """Embed ``tokens`` (frames,) that stand at ``places`` (frames,) of their sentences."""
        x = embedding(tokens)
        if self.positions is not None:
            count = len(self.positions.weight)
            x = x + self.positions(places.clamp(max=count - 1), count)
        return dropout(x, self.dropout, self.training)


def convolutions(layers: ConvS2SLayers) -> nn.ModuleList:
    """The gated convolutions on top of one another; the first has as many channels in as out."""
    stack = nn.ModuleList()
    channels = layers.blocks[0].channels
    for block in layers.convolutions:
        stack.append(GatedConvolution(channels, block.channels, block.kernel, layers.hidden_dropout))
        channels = block.channels
    return stack


def token_embedding(vocab_size: int, embedding_size: int) -> Embedding:
    """An embedding that starts normal with a standard deviation of 0.1."""
    embedding = Embedding(vocab_size, embedding_size)
    nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
    return embedding
