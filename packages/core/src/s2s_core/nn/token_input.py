"""What a Transformer reads: the vectors of tokens, plus those of their positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2s_core.nn.dropout import dropout
from s2s_core.nn.embedding import Embedding
from s2s_core.nn.frames import FrameLayout
from s2s_core.nn.positions import PositionName, build_positions


class TokenInput(nn.Module):
    """Sums of token and position vectors, with dropout. The embedding is the caller's, who may share it.

    Args:
        features: the size of a vector.
        positions: what tells positions apart.
        max_length: of a sequence, where positions are learned.
        dropout: of the sums.
    """

    def __init__(self, features: int, positions: PositionName, max_length: int, dropout: float) -> None:
        super().__init__()
        self.positions = build_positions(positions, features, max_length)
        self.dropout = dropout

    def forward(self, tokens: Tensor, layout: FrameLayout, embedding: Embedding) -> Tensor:
        """Return the vectors of padded tokens ``(batch, time)`` in ``layout``."""
        time = tokens.shape[1]
        steps = torch.arange(time, device=tokens.device).expand_as(tokens)
        ids, places = (layout.enter(x[..., None])[..., 0] for x in (tokens, steps))
        return dropout(self._sum(ids, places, time, embedding), self.dropout, self.training)

    def step(self, tokens: Tensor, place: int, embedding: Embedding) -> Tensor:
        """Return the vectors ``(rows, features)`` of tokens ``(rows,)`` that all stand at ``place``; no dropout."""
        places = torch.full((1,), place, device=tokens.device)
        return self._sum(tokens, places, place + 1, embedding)

    def _sum(self, tokens: Tensor, places: Tensor, end: int, embedding: Embedding) -> Tensor:
        vectors = embedding(tokens)
        return vectors + self.positions(places, end).to(vectors.dtype)
