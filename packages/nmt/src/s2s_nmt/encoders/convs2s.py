"""The encoder of convolutional sequence to sequence learning."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from s2s_core.nn.windows import RowOrder
from s2s_nmt.gated_convolution import (
    HALF,
    ConvBlock,
    ConvS2SInput,
    ConvS2SLayers,
    GatedConvolution,
    WeightNormLinear,
    convolutions,
    token_embedding,
)
from s2s_nmt.interfaces import Encoder, Memory


class ConvS2SEncoder(Encoder):
    """Gated convolutions over embeddings (Gehring et al. 2017, section 3.2), as in OpenSeq2Seq.

    ``x + conv(x)``, scaled by ``sqrt(0.5)``, layer after layer; weights are normalised; only real tokens are computed.

    Args:
        vocab_size: how many tokens there are.
        embedding_size: the size of a token's vector, and of an encoding.
        layers: the convolutions, dropouts and positions. A kernel of even width sees one more frame before than after.
        attention_layers: how many layers of the decoder attend: the encoder's gradient is divided by twice their number
            (section 3.4); undivided if not given.
    """

    def __init__(
        self, vocab_size: int, embedding_size: int, layers: ConvS2SLayers, attention_layers: int | None = None
    ) -> None:
        super().__init__()
        if attention_layers is not None and attention_layers < 1:
            raise ValueError(f"attention_layers must be at least 1, got {attention_layers}")
        self.vocab_size = vocab_size
        self.out_features = embedding_size
        self.attention_layers = attention_layers
        self.embedding = token_embedding(vocab_size, embedding_size)
        self.input = ConvS2SInput(embedding_size, layers)
        self.enter = WeightNormLinear(embedding_size, layers.blocks[0].channels, dropout=layers.embedding_dropout)
        self.layers = convolutions(layers)
        self.leave = WeightNormLinear(layers.blocks[-1].channels, embedding_size)

    @classmethod
    def examples(cls) -> list[ConvS2SEncoder]:
        """Small ones for the contract tests."""
        mixed = ConvS2SLayers([ConvBlock(6, 3, 2), ConvBlock(8, 1), ConvBlock(4, 2)], 0.0, 0.0, max_length=16)
        return [cls(11, 5, mixed, 3), cls(11, 4, ConvS2SLayers([ConvBlock(4, 5)], 0.0, 0.0, positions=False))]

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        order = RowOrder.of(lengths, tokens.shape[1])
        embedded = self.input(order.pack(tokens), order.before, self.embedding)
        x = self.enter(embedded)
        for layer in self.layers:
            assert isinstance(layer, GatedConvolution)
            before = layer.kernel // 2
            windows = order.windows(layer.drop(x), -before, layer.kernel - 1 - before)
            x = (layer(windows) + layer.skipped(x)) * HALF
        x = self.leave(x)
        if self.attention_layers is not None:
            x = _GradientScale.apply(x, 1 / (2 * self.attention_layers))
        return Memory(order.unpack(x), lengths, None, order.unpack(embedded))


class _GradientScale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grads[0] * ctx.scale, None
