"""What encoders of embeddings and layers with a state share."""

from __future__ import annotations

import torch
from torch import nn

from s2s_lm.interfaces import LmEncoder, State

EMBEDDING_RANGE = 0.1
"""Embeddings begin uniform in plus and minus this."""


class Recurrence(LmEncoder):
    """Embeddings, which an output layer can share, and the state of layers over them.

    The state of a layer is ``parts`` tensors ``(rows, size)``: hidden and cell of an LSTM.
    """

    embedding: nn.Embedding
    sizes: list[int]
    """Of each layer's state."""
    parts: int = 2

    def _embed(self, vocab_size: int, embedding_size: int) -> None:
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)

    def tied_weight(self) -> nn.Parameter | None:
        weight = self.embedding.weight
        assert isinstance(weight, nn.Parameter)
        return weight if weight.size(1) == self.out_features else None

    def initial_state(self, rows: int) -> State:
        weight = self.embedding.weight
        dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
        sizes = [size for size in self.sizes for _ in range(self.parts)]
        return tuple(torch.zeros(rows, size, device=weight.device, dtype=dtype) for size in sizes)
