"""Transformer-XL (Dai et al. 2019, https://arxiv.org/abs/1901.02860)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from s2s_core.nn.dropout import dropout, relu_dropout
from s2s_core.nn.norm import LayerNorm
from s2s_core.nn.relative_attention import RelativeAttention
from s2s_lm.adaptive_embedding import AdaptiveEmbedding, check_cutoffs
from s2s_lm.dropout import check_probabilities
from s2s_lm.interfaces import LmEncoder, State
from s2s_lm.memory import count_remembered, remember, visible


class TransformerXlLayer(nn.Module):
    """Attention and feed-forward, each with a residual and layer norm after it, or before it."""

    def __init__(
        self, features: int, heads: int, hidden: int, dropout: float, attention_dropout: float, pre_norm: bool
    ) -> None:
        super().__init__()
        self.attention = RelativeAttention(features, heads, attention_dropout)
        self.hidden, self.back = nn.Linear(features, hidden), nn.Linear(hidden, features)
        self.attention_norm, self.feed_norm = LayerNorm(features, eps=1e-5), LayerNorm(features, eps=1e-5)
        self.dropout, self.pre_norm = dropout, pre_norm

    def forward(self, x: Tensor, memory: Tensor, distances: Tensor, seen: Tensor) -> Tensor:
        if self.pre_norm:
            norm = self.attention_norm
            x = x + self._drop(self.attention(norm(x), norm(memory), distances, seen))
            return x + self._feed(self.feed_norm(x))
        x = self.attention_norm(x + self._drop(self.attention(x, memory, distances, seen)))
        return self.feed_norm(x + self._feed(x))

    def _feed(self, x: Tensor) -> Tensor:
        return self._drop(self.back(relu_dropout(self.hidden(x), self.dropout, self.training)))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class TransformerXlEncoder(LmEncoder):
    """Transformer-XL with segment memory; optionally adaptive input.

    A row's memory starts empty and holds real positions only; the reference code begins with zeros that are attended
    to. The memory gets no gradient.

    Args:
        vocab_size: the number of tokens.
        features: the model's size.
        layers, heads, hidden: of attention and feed-forward layers.
        memory: positions of earlier segments that each layer remembers. In evaluation it may be set longer.
        dropout: drop probability after embeddings, in the feed-forward layers and of what residuals add.
        attention_dropout: of attention weights.
        cutoffs: of adaptive input (`AdaptiveEmbedding`); an ordinary embedding if not given.
        pre_norm: norm before each sub-layer instead of after; trains more easily when deep.
    """

    def __init__(
        self,
        vocab_size: int,
        features: int = 410,
        layers: int = 16,
        heads: int = 10,
        hidden: int = 2100,
        memory: int = 150,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        cutoffs: list[int] | None = None,
        pre_norm: bool = False,
    ) -> None:
        super().__init__()
        check_probabilities(dropout=dropout, attention_dropout=attention_dropout)
        if features % heads or features % 2:
            raise ValueError(f"features must be even and a multiple of heads, got {features} and {heads} heads")
        if cutoffs:
            check_cutoffs(cutoffs, vocab_size, 4.0)
        self.vocab_size, self.out_features, self.memory, self.dropout = vocab_size, features, memory, dropout
        self.embedding = AdaptiveEmbedding(vocab_size, features, cutoffs or [])
        self.layers = nn.ModuleList(
            TransformerXlLayer(features, heads, hidden, dropout, attention_dropout, pre_norm) for _ in range(layers)
        )
        self.last_norm = LayerNorm(features, eps=1e-5) if pre_norm else nn.Identity()

    @classmethod
    def examples(cls) -> list[TransformerXlEncoder]:
        small = cls(11, 8, 2, 2, 16, memory=5, dropout=0.0)
        return [small, cls(11, 8, 2, 2, 16, memory=3, dropout=0.0, cutoffs=[4, 8], pre_norm=True)]

    def tied_weight(self) -> nn.Parameter | None:
        return None if self.embedding.cutoffs else self.embedding.vectors[0]

    def initial_state(self, rows: int) -> State:
        weight = self.embedding.vectors[0]
        memory = weight.new_zeros(rows, self.memory, self.out_features)
        return (torch.zeros(rows, dtype=torch.int64, device=weight.device), *[memory] * len(self.layers))

    def forward(self, tokens: Tensor, state: State, lengths: list[int] | None = None) -> tuple[Tensor, State]:
        valid, *memories = state
        time, past = tokens.size(1), memories[0].size(1)
        x = dropout(self.embedding(tokens) * math.sqrt(self.out_features), self.dropout, self.training)
        distances = _sinusoids(past + time, self.out_features, x)
        distances = dropout(distances, self.dropout, self.training)
        seen = visible(valid, past, time)
        after = [count_remembered(valid, time, lengths, self.memory)]
        for layer, memory in zip(self.layers, memories, strict=True):
            after.append(remember(memory, x, lengths, self.memory))
            x = layer(x, memory.to(x.dtype), distances, seen)
        x = dropout(self.last_norm(x), self.dropout, self.training)
        if lengths is not None:
            real = torch.arange(time, device=x.device) < torch.tensor(lengths, device=x.device)[:, None]
            x = x.masked_fill(~real[:, :, None], 0.0)
        return x, tuple(after)


def _sinusoids(count: int, features: int, like: Tensor) -> Tensor:
    distance = torch.arange(count - 1, -1, -1, device=like.device, dtype=torch.float64)
    rates = torch.exp(torch.arange(0, features, 2, device=like.device) * (-math.log(10000.0) / features))
    angles = distance[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1).to(like.dtype)
