"""Attention of several heads: within a sequence, from one sequence to another, and step by step with a cache.

Vaswani et al. 2017 (arXiv 1706.03762), section 3.2. Who may look at whom is a `Pattern` (see
`s2s_core.nn.attention_pattern`), so that nothing here depends on how a batch lies in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.attention_pattern import Pattern
from s2s_core.nn.key_value_cache import Cache
from s2s_core.nn.linear import Linear


class SelfAttention(nn.Module):
    """Each position looks at the positions of its own sequence.

    Queries, keys and values come from one product.

    Args:
        features: in and out.
        heads: how many; they share the features.
        dropout: of attention weights.
        bias: whether the projections have one.

    Raises:
        ValueError: if ``features`` is not a multiple of ``heads``.
    """

    def __init__(self, features: int, heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        _check(features, heads)
        self.heads, self.dropout = heads, dropout
        self.projection = Linear(features, 3 * features, bias, blocks=3)
        self.output = Linear(features, features, bias)

    def forward(self, x: Tensor, pattern: Pattern) -> Tensor:
        """Attend within ``x`` (rows, time, features), which lies in the pattern's layout, as does the result."""
        dropout = self.dropout if self.training else 0.0
        return self.output(pattern.attend_within(self.projection(x), self.heads, dropout))

    def step(self, x: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Let one new position a row, ``(rows, features)``, look at itself and those before it."""
        query, keys, values = self.projection(x).view(len(x), 3, self.heads, -1).unbind(1)
        cache = cache.appended(torch.stack([keys, values]))
        # the hypotheses of a sentence are the time axis of one attention: their common past is read once
        query = query.unflatten(0, (cache.sentences, cache.width)).transpose(1, 2)
        attended = attend_by_few(query, cache.keys, cache.values, cache.visible[:, None])
        return self.output(attended.transpose(1, 2).reshape(x.shape)), cache


class CrossAttention(nn.Module):
    """Each position looks at the positions of another sequence, the memory.

    Keys and values come from one product.

    Args:
        features: in and out.
        memory_features: of the memory.
        heads: how many; they share the features.
        dropout: of attention weights.
        bias: whether the projections have one.

    Raises:
        ValueError: if ``features`` is not a multiple of ``heads``.
    """

    def __init__(
        self, features: int, memory_features: int, heads: int, dropout: float = 0.0, bias: bool = True
    ) -> None:
        super().__init__()
        _check(features, heads)
        self.heads, self.dropout = heads, dropout
        self.query = Linear(features, features, bias)
        self.memory = Linear(memory_features, 2 * features, bias, blocks=2)
        self.output = Linear(features, features, bias)

    def forward(self, x: Tensor, memory: Tensor, pattern: Pattern) -> Tensor:
        """Attend from ``x`` to ``memory``, both ``(rows, time, features)`` in the pattern's layouts."""
        dropout = self.dropout if self.training else 0.0
        return self.output(pattern.attend_across(self.query(x), self.memory(memory), self.heads, dropout))

    def keys_values(self, memory: Tensor, mask: Tensor) -> KeysValues:
        """Project a padded memory ``(batch, time, features)`` once for all steps.

        Args:
            memory: what is attended to.
            mask: ``(batch, time)``, true where it is real.
        """
        batch, time, _ = memory.shape
        projected = self.memory(memory).view(batch, time, 2, self.heads, -1)
        return KeysValues(projected.permute(2, 0, 3, 1, 4).contiguous(), mask[:, None, None])

    def step(self, x: Tensor, kept: KeysValues) -> Tensor:
        """Let positions ``(rows, features)`` look at their memories, each memory serving as many adjacent rows."""
        sentences = kept.mask.shape[0]
        # the rows that share a memory are the time axis of one attention: its keys are read once
        query = self.query(x).view(sentences, -1, self.heads, kept.keys.shape[-1]).transpose(1, 2)
        attended = attend_by_few(query, kept.keys, kept.values, kept.mask)
        return self.output(attended.transpose(1, 2).reshape(x.shape))


@dataclass(frozen=True)
class KeysValues:
    """The projected keys and values of a memory, one row a sentence."""

    projected: Tensor
    """``(2, batch, heads, time, head size)``: keys and values."""
    mask: Tensor
    """``(batch, 1, 1, time)``, true where the memory is real."""

    @property
    def keys(self) -> Tensor:
        return self.projected[0]

    @property
    def values(self) -> Tensor:
        return self.projected[1]

    def select(self, sentences: Tensor) -> KeysValues:
        """Keep these sentences, in that order."""
        return KeysValues(self.projected.index_select(1, sentences), self.mask.index_select(0, sentences))


def attend_by_few(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Attention of a few queries ``(batch, heads, queries, size)`` to keys and values ``(batch, heads, time, size)``.

    ``mask`` is true where one may look. On the host, torch's fused kernel pays for each head of each sentence what a
    long block of queries would cost; two products over the whole batch take a third to a half of its time.
    """
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, keys, values, mask)
    scaled = query * query.shape[-1] ** -0.5
    scores = torch.bmm(scaled.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2)).unflatten(0, query.shape[:2])
    scores = scores.masked_fill(~mask, float("-inf"))
    return torch.bmm(scores.softmax(-1).flatten(0, 1), values.flatten(0, 1)).view_as(query)


def _check(features: int, heads: int) -> None:
    if heads < 1 or features % heads:
        raise ValueError(f"heads: expected a divisor of {features} features, got {heads}")
