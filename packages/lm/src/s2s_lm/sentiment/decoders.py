"""From the encodings of a text to scores of classes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.dropout import dropout
from s2s_lm.dropout import check_probabilities
from s2s_lm.sentiment.interfaces import Encoded, TextDecoder, TextEncoder

Pooling = Literal["last", "mean", "max", "attention", "concat"]
"""What stands for a text: what the encoder ends with; mean or maximum of its encodings; their mean weighted by a
learnt score; or last, mean and maximum side by side (Howard and Ruder 2018)."""


class PooledClassifier(TextDecoder):
    """Pools encodings and scores classes with a linear layer; the softmax is in the loss.

    Args:
        in_features: the size of an encoding.
        num_classes: how many classes.
        pooling: what stands for a text.
        final_features: the size of what the encoder ends with; ``in_features`` if None.
        hidden_size: of a layer of rectified units before the last one; none if 0.
        dropout: drop probability before each linear layer.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int = 2,
        pooling: Pooling = "last",
        final_features: int | None = None,
        hidden_size: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_probabilities(dropout=dropout)
        if pooling not in ("last", "mean", "max", "attention", "concat"):
            raise ValueError(f"pooling must be last, mean, max, attention or concat, not {pooling!r}")
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        self.in_features, self.num_classes, self.pooling, self.dropout = in_features, num_classes, pooling, dropout
        self.final_features = in_features if final_features is None else final_features
        pooled = {"last": self.final_features, "concat": self.final_features + 2 * in_features}.get(
            pooling, in_features
        )
        self.attention = nn.Linear(in_features, 1) if pooling == "attention" else None
        self.hidden = nn.Linear(pooled, hidden_size) if hidden_size else None
        self.output = nn.Linear(hidden_size or pooled, num_classes)

    @classmethod
    def examples(cls) -> list[PooledClassifier]:
        kinds: list[Pooling] = ["last", "mean", "max", "attention", "concat"]
        return [*(cls(6, 3, kind) for kind in kinds), cls(6, 2, hidden_size=4)]

    def check(self, encoder: TextEncoder) -> None:
        if self.in_features != encoder.out_features:
            raise ValueError(f"decoder.in_features is {self.in_features}, the encoder gives {encoder.out_features}")
        if self.pooling in ("last", "concat") and self.final_features != encoder.final_features:
            raise ValueError(
                f"decoder.final_features is {self.final_features}, the encoder ends with {encoder.final_features}"
            )

    def forward(self, encoded: Encoded) -> Tensor:
        pooled = dropout(self._pooled(encoded), self.dropout, self.training)
        if self.hidden is not None:
            pooled = dropout(F.relu(self.hidden(pooled)), self.dropout, self.training)
        return self.output(pooled)

    def _pooled(self, encoded: Encoded) -> Tensor:
        values, mask = encoded.values, encoded.mask()[:, :, None]
        if self.pooling == "last":
            return encoded.final
        if self.attention is not None:
            weights = self.attention(values).float().masked_fill(~mask, -torch.inf).softmax(dim=1)
            return (weights.to(values.dtype) * values).sum(1)
        mean = values.sum(1) / mask.sum(1).clamp(min=1)
        if self.pooling == "mean":
            return mean.to(values.dtype)
        highest = values.masked_fill(~mask, -torch.inf).amax(1)
        if self.pooling == "max":
            return highest
        return torch.cat([encoded.final, mean.to(values.dtype), highest], dim=1)
