"""Dropout as language models use it: the same mask at every step of a row, and whole words at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_lm.packing import Packing


def locked_dropout(frames: Tensor, packing: Packing, probability: float) -> Tensor:
    """Drop the same features in all frames of a row (variational dropout, Gal and Ghahramani 2016).

    Args:
        frames: packed, ``(frames, features)``.
        packing: which row a frame is of.
        probability: of dropping a feature; the others are scaled up.
    """
    if not probability:
        return frames
    factors = frames.new_empty(packing.batch, frames.size(-1)).bernoulli_(1 - probability).div_(1 - probability)
    return packing.scale(frames, packing.sort(factors))


def embed(embedding: nn.Embedding, tokens: Tensor, word_dropout: float) -> Tensor:
    """Look tokens up; with ``word_dropout``, a dropped word is zero wherever it occurs (Merity et al. 2018, 4.3)."""
    vectors = F.embedding(tokens, embedding.weight)
    if not word_dropout:
        return vectors
    return vectors * kept_words(embedding.num_embeddings, tokens, word_dropout).unsqueeze(-1).to(vectors.dtype)


def kept_words(count: int, tokens: Tensor, word_dropout: float) -> Tensor:
    """What each of ``tokens``, numbers below ``count``, is multiplied by: 0 or ``1 / (1 - word_dropout)``, the same
    wherever a word occurs; float32, of their shape."""
    kept = torch.empty(count, device=tokens.device).bernoulli_(1 - word_dropout)
    return kept.div_(1 - word_dropout)[tokens]


def check_probabilities(**values: float) -> None:
    """Raise ValueError for a drop probability outside [0, 1)."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value}")
