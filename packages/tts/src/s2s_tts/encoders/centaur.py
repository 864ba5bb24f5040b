"""Centaur's encoder: characters through convolutions alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2s_core.nn.conv import Conv
from s2s_core.nn.dropout import dropout
from s2s_core.nn.frames import frame_layout
from s2s_core.nn.linear import Linear
from s2s_core.nn.norm import BatchNorm
from s2s_tts.interfaces import TextEncoder


class CentaurEncoder(TextEncoder):
    """Embedding, residual convolutions with batch norm, ReLU and dropout, and a linear layer, as OpenSeq2Seq's.

    Args:
        vocab_size: tokens.
        channels: of the embedding and of each convolution.
        conv_layers: how many.
        kernel: taps; odd.
        out_features: the size of an encoding.
        dropout: drop probability after each convolution.
    """

    def __init__(
        self,
        vocab_size: int,
        channels: int = 256,
        conv_layers: int = 4,
        kernel: int = 3,
        out_features: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if vocab_size < 1:
            raise ValueError(f"vocab_size must be positive, got {vocab_size}")
        self.vocab_size = vocab_size
        self.out_features = out_features
        self.dropout = dropout
        self.embedding = nn.Embedding(vocab_size, channels)
        nn.init.xavier_uniform_(self.embedding.weight)
        self.convolutions = nn.ModuleList(Conv(channels, channels, kernel) for _ in range(conv_layers))
        self.norms = nn.ModuleList(BatchNorm(channels) for _ in range(conv_layers))
        self.projection = Linear(channels, out_features)

    @classmethod
    def examples(cls) -> list[CentaurEncoder]:
        """Small ones for the contract tests."""
        return [cls(6, 8, 2, out_features=5, dropout=0.0)]

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        layout = frame_layout(lengths, tokens.shape[1])
        x = layout.enter(self.embedding(tokens))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            change = dropout(torch.relu(norm(convolution(x, layout), layout)), self.dropout, self.training)
            x = layout.clean(x + change)
        return layout.leave(self.projection(x))
