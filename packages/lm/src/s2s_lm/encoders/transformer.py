"""A decoder-only Transformer with rotary positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.dropout import dropout
from s2s_core.nn.norm import LayerNorm
from s2s_lm.adaptive_embedding import AdaptiveEmbedding, check_cutoffs
from s2s_lm.dropout import check_probabilities
from s2s_lm.interfaces import LmEncoder, State
from s2s_lm.memory import count_remembered, remember, visible

ROTARY_BASE = 10000.0


class TransformerLayer(nn.Module):
    """Pre-norm attention and feed-forward (Vaswani et al. 2017; Radford et al. 2019)."""

    def __init__(self, features: int, heads: int, hidden: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout, self.attention_dropout = heads, dropout, attention_dropout
        self.attention_norm, self.feed_norm = LayerNorm(features, eps=1e-5), LayerNorm(features, eps=1e-5)
        self.query_key_value = nn.Linear(features, 3 * features)
        self.output = nn.Linear(features, features)
        self.hidden, self.back = nn.Linear(features, hidden), nn.Linear(hidden, features)

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, turns: Tensor, seen: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the outputs and this segment's keys, not yet turned, and values, for the cache."""
        query, key, value = self.query_key_value(self.attention_norm(x)).chunk(3, dim=-1)
        all_keys = torch.cat([keys.to(key.dtype), key], dim=1)
        all_values = torch.cat([values.to(value.dtype), value], dim=1)
        mixed = F.scaled_dot_product_attention(
            _turn(self._split(query), turns[-x.size(1) :]),
            _turn(self._split(all_keys), turns),
            self._split(all_values),
            seen,
            self.attention_dropout if self.training else 0.0,
            is_causal=seen is None,
        )
        x = x + self._drop(self.output(mixed.transpose(1, 2).flatten(2)))
        return x + self._drop(self.back(self._drop(F.gelu(self.hidden(self.feed_norm(x)))))), key, value

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class TransformerEncoder(LmEncoder):
    """Decoder-only Transformer: pre-norm layers, rotary positions (Su et al. 2021, https://arxiv.org/abs/2104.09864).

    Its state is the cache of keys and values of the last ``context`` positions, so scoring and generation go on where
    they stopped. In training a segment begins with an empty cache unless ``carry``.

    Args:
        vocab_size: the number of tokens.
        features: the model's size.
        layers, heads, hidden: of attention and feed-forward layers.
        context: earlier positions that are attended to at most, beside those of the segment.
        dropout: drop probability after embeddings, in the feed-forward layers and of what residuals add.
        attention_dropout: of attention weights.
        cutoffs: of adaptive input (`AdaptiveEmbedding`); an ordinary embedding if not given.
        carry: attend to earlier segments in training too, without a gradient.
    """

    def __init__(
        self,
        vocab_size: int,
        features: int = 512,
        layers: int = 8,
        heads: int = 8,
        hidden: int = 2048,
        context: int = 512,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        cutoffs: list[int] | None = None,
        carry: bool = False,
    ) -> None:
        super().__init__()
        check_probabilities(dropout=dropout, attention_dropout=attention_dropout)
        if features % (2 * heads):
            raise ValueError(f"features must be a multiple of 2 * heads, got {features} and {heads} heads")
        if cutoffs:
            check_cutoffs(cutoffs, vocab_size, 4.0)
        self.vocab_size, self.out_features, self.memory = vocab_size, features, context
        self.heads, self.dropout, self.carry = heads, dropout, carry
        self.embedding = AdaptiveEmbedding(vocab_size, features, cutoffs or [])
        self.layers = nn.ModuleList(
            TransformerLayer(features, heads, hidden, dropout, attention_dropout) for _ in range(layers)
        )
        self.last_norm = LayerNorm(features, eps=1e-5)

    @classmethod
    def examples(cls) -> list[TransformerEncoder]:
        small = cls(11, 8, 2, 2, 16, context=5, dropout=0.0, carry=True)
        return [small, cls(11, 8, 1, 2, 16, context=64, dropout=0.0, cutoffs=[4, 8])]

    def tied_weight(self) -> nn.Parameter | None:
        return None if self.embedding.cutoffs else self.embedding.vectors[0]

    def initial_state(self, rows: int) -> State:
        weight = self.embedding.vectors[0]
        cache = weight.new_zeros(rows, self.memory, self.out_features)
        return (torch.zeros(rows, dtype=torch.int64, device=weight.device), *[cache] * (2 * len(self.layers)))

    def forward(self, tokens: Tensor, state: State, lengths: list[int] | None = None) -> tuple[Tensor, State]:
        if self.training and not self.carry:
            state = (torch.zeros_like(state[0]), *(part[:, :0] for part in state[1:]))
        valid, *caches = state
        time, past = tokens.size(1), caches[0].size(1)
        x = dropout(self.embedding(tokens) * math.sqrt(self.out_features), self.dropout, self.training)
        turns = _rotations(past + time, self.out_features // self.heads, x.device)
        seen = visible(valid, past, time) if past else None
        keep = self.memory if self.carry or not self.training else 0
        after = [count_remembered(valid, time, lengths, keep)]
        for number, layer in enumerate(self.layers):
            keys, values = caches[2 * number], caches[2 * number + 1]
            x, key, value = layer(x, keys, values, turns, seen)
            after += [remember(keys, key, lengths, keep), remember(values, value, lengths, keep)]
        x = dropout(self.last_norm(x), self.dropout, self.training)
        if lengths is not None:
            real = torch.arange(time, device=x.device) < torch.tensor(lengths, device=x.device)[:, None]
            x = x.masked_fill(~real[:, :, None], 0.0)
        return x, tuple(after)


def _rotations(count: int, size: int, device: torch.device) -> Tensor:
    """Cosines and sines of each position's angles, ``(positions, 2, size / 2)``."""
    rates = ROTARY_BASE ** (-torch.arange(0, size, 2, device=device, dtype=torch.float64) / size)
    angles = torch.arange(count, device=device)[:, None] * rates  # float32 angles lose a digit for every ten positions
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def _turn(x: Tensor, turns: Tensor) -> Tensor:
    """Rotate pairs of features ``(batch, heads, time, size)`` by their position's angles."""
    cos, sin = turns.to(x.dtype).unbind(1)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
