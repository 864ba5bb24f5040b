"""Tacotron 2's encoder: characters through convolutions and a bidirectional LSTM."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from s2s_core.nn.conv import Conv
from s2s_core.nn.dropout import dropout
from s2s_core.nn.frames import frame_layout
from s2s_core.nn.norm import BatchNorm
from s2s_core.nn.rnn import Recurrent
from s2s_tts.interfaces import TextEncoder


class Tacotron2Encoder(TextEncoder):
    """Embedding, convolutions with batch norm, ReLU and dropout, then LSTMs in both directions (Shen et al. 2018, 2.2).

    Padding reaches neither convolutions nor statistics nor states. OpenSeq2Seq's batch norm counted padding.

    Args:
        vocab_size: tokens.
        embedding_size: of a token's vector.
        channels: of each convolution.
        conv_layers: how many.
        kernel: taps; odd.
        rnn_size: of each direction of the LSTM; the encodings have twice that.
        rnn_layers: how many.
        dropout: drop probability after each convolution.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int = 512,
        channels: int = 512,
        conv_layers: int = 3,
        kernel: int = 5,
        rnn_size: int = 256,
        rnn_layers: int = 1,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if vocab_size < 1:
            raise ValueError(f"vocab_size must be positive, got {vocab_size}")
        self.vocab_size = vocab_size
        self.out_features = 2 * rnn_size
        self.dropout = dropout
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        nn.init.xavier_uniform_(self.embedding.weight)
        sizes = [embedding_size, *[channels] * conv_layers]
        self.convolutions = nn.ModuleList(Conv(a, b, kernel) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(BatchNorm(channels) for _ in range(conv_layers))
        self.rnn = Recurrent("lstm", sizes[-1], rnn_size, rnn_layers, bidirectional=True)

    @classmethod
    def examples(cls) -> list[Tacotron2Encoder]:
        """Small ones for the contract tests."""
        return [cls(6, 8, 10, rnn_size=5, dropout=0.0), cls(6, 8, 8, 1, 3, 4, 2, dropout=0.0)]

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        layout = frame_layout(lengths, tokens.shape[1])
        x = layout.enter(self.embedding(tokens))
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = dropout(torch.relu(norm(convolution(x, layout), layout)), self.dropout, self.training)
            x = layout.clean(x)
        return self.rnn(layout.leave(x), lengths)[0]
