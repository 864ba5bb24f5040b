"""Tokens to vectors and vectors to scores of tokens, with vocabularies padded to what hardware likes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from s2s_core.nn.linear import linear

MULTIPLE = 8
"""Rows of a vocabulary's matrix come in multiples of this: tensor cores and vector units work on so many at a time."""


class Embedding(nn.Embedding):
    """A vector a token, with rows padded to a multiple of 8.

    The rows after ``vocab_size`` belong to no token: they get no gradient, and no score. ``num_embeddings`` counts
    them; ``vocab_size`` does not.

    The weight starts normal with variance ``1 / features``, that of the vectors scaled up by ``sqrt(features)`` is then
    one (Vaswani et al. 2017, section 3.4).

    Args:
        vocab_size: how many tokens there are.
        features: the size of a vector.
        scaled: whether vectors are multiplied by ``sqrt(features)``; scores never are.

    Raises:
        ValueError: if a size is not positive.
    """

    def __init__(self, vocab_size: int, features: int, scaled: bool = False) -> None:
        super().__init__(padded_size(vocab_size), features)
        self.vocab_size = vocab_size
        self.scaled = scaled

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)

    def forward(self, input: Tensor) -> Tensor:  # torch's own name for it
        """Look up tokens of any shape; returns that shape with an axis of ``features`` behind."""
        vectors = super().forward(input)
        return vectors * math.sqrt(self.embedding_dim) if self.scaled else vectors

    def scores(self, x: Tensor) -> Tensor:
        """Logits ``(..., vocab_size)`` of ``(..., features)``: products with the vectors, which so serve as output."""
        return _scores(x, self.weight, None, self.vocab_size)


class Output(nn.Module):
    """Scores of all tokens from a weight of its own, with rows padded to a multiple of 8.

    Args:
        features: the size of what is scored.
        vocab_size: how many tokens there are.
        bias: whether each token has one.

    Raises:
        ValueError: if a size is not positive.
    """

    def __init__(self, features: int, vocab_size: int, bias: bool = False) -> None:
        super().__init__()
        rows = padded_size(vocab_size)
        self.vocab_size = vocab_size
        self.weight = nn.Parameter(torch.empty(rows, features))
        self.bias = nn.Parameter(torch.zeros(rows)) if bias else None
        nn.init.normal_(self.weight, std=features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(..., vocab_size)`` of ``(..., features)``."""
        return _scores(x, self.weight, self.bias, self.vocab_size)


def padded_size(vocab_size: int) -> int:
    """The next multiple of 8.

    Raises:
        ValueError: if it is not positive.
    """
    if vocab_size < 1:
        raise ValueError(f"vocab_size: expected a positive number, got {vocab_size}")
    return -(-vocab_size // MULTIPLE) * MULTIPLE


def _scores(x: Tensor, weight: Tensor, bias: Tensor | None, vocab_size: int) -> Tensor:
    logits = linear(x, weight, bias)
    return logits if len(weight) == vocab_size else logits[..., :vocab_size]
