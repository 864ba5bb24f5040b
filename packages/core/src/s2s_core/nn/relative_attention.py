"""Attention that knows how far apart two positions are, not where they are (Transformer-XL, Conformer)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RelativeAttention(nn.Module):
    """Multi-head attention with relative positions (Dai et al. 2019, https://arxiv.org/abs/1901.02860, section 3.3).

    ``(q + u) k + (q + v) r``: content and distance, with a learnt bias for either. The distance's share enters
    ``scaled_dot_product_attention`` as its mask.

    Args:
        features: in and out.
        heads: how many; they share the features.
        dropout: of attention weights.
        bias: whether the projections have one; that of the distances never does.

    Raises:
        ValueError: if ``features`` is not a multiple of ``heads``.
    """

    def __init__(self, features: int, heads: int, dropout: float, bias: bool = False) -> None:
        super().__init__()
        if heads < 1 or features % heads:
            raise ValueError(f"heads: expected a divisor of {features} features, got {heads}")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(features, features, bias=bias)
        self.key_value = nn.Linear(features, 2 * features, bias=bias)
        self.distance = nn.Linear(features, features, bias=False)
        self.output = nn.Linear(features, features, bias=bias)
        self.content_bias = nn.Parameter(torch.zeros(heads, 1, features // heads))
        self.distance_bias = nn.Parameter(torch.zeros(heads, 1, features // heads))

    def forward(self, x: Tensor, memory: Tensor | None, distances: Tensor, seen: Tensor) -> Tensor:
        """Attend from ``x`` (batch, time, features) to what lies before it and to itself.

        Args:
            x: the positions.
            memory: ``(batch, past, features)`` before them, if any.
            distances: encodings of the distances from the largest, ``past + time - 1``, down to 0, or on to
                ``1 - time`` where later positions are seen too: ``(past + time, features)`` at least.
            seen: bool, true where one may look; broadcast to ``(batch, heads, time, past + time)``.
        """
        everything = x if memory is None else torch.cat([memory.to(x.dtype), x], dim=1)
        query = self._split(self.query(x))
        key, value = (self._split(part) for part in self.key_value(everything).chunk(2, dim=-1))
        away = self.distance(distances).unflatten(-1, (self.heads, -1)).transpose(0, 1)
        by_distance = (query + self.distance_bias.to(query.dtype)) @ away.transpose(-1, -2)
        scores = shift(by_distance)[..., : key.size(-2)]
        scores = (scores * key.size(-1) ** -0.5).masked_fill(~seen, -torch.inf)
        content = query + self.content_bias.to(query.dtype)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(content, key, value, scores.to(content.dtype), dropout)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def shift(scores: Tensor) -> Tensor:
    """From ``[i, p]``, p counting distances downwards, to ``[i, j]``: row i moves left by ``time - 1 - i``."""
    batch, heads, time, span = scores.shape
    return F.pad(scores, (1, 0)).view(batch, heads, span + 1, time)[:, :, 1:].reshape(batch, heads, time, span)
