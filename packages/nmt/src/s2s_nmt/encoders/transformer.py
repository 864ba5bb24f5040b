"""The Transformer's encoder."""

from __future__ import annotations

from torch import Tensor

from s2s_core.nn.attention_pattern import pattern_of
from s2s_core.nn.embedding import Embedding
from s2s_core.nn.frames import frame_layout
from s2s_core.nn.positions import PositionName
from s2s_core.nn.token_input import TokenInput
from s2s_core.nn.transformer import LayerSpec, TransformerStack
from s2s_nmt.interfaces import Encoder, Memory


class TransformerEncoder(Encoder):
    """Self-attention over the source (Vaswani et al. 2017, arXiv 1706.03762), pre-norm or post-norm.

    Padding costs nothing on the host: there, the linear layers see real tokens only. Embeddings are scaled by
    ``sqrt(features)``; dropout follows the sum with the positions.

    Args:
        vocab_size: of the source.
        layers: how many.
        layer: sizes and rules of a layer; OpenSeq2Seq's layers are pre-norm without biases in attention.
        positions: what tells positions apart.
        max_length: of a sequence, where positions are learned.

    Raises:
        ValueError: for sizes that do not suit one another.
    """

    def __init__(
        self,
        vocab_size: int,
        layers: int = 6,
        layer: LayerSpec = LayerSpec(),  # noqa: B008  it is frozen
        positions: PositionName = "sinusoidal",
        max_length: int = 512,
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.out_features = layer.features
        self.embedding = Embedding(vocab_size, layer.features, scaled=True)
        self.input = TokenInput(layer.features, positions, max_length, layer.dropout)
        self.stack = TransformerStack(layers, layer)

    @classmethod
    def examples(cls) -> list[TransformerEncoder]:
        """Small ones for the contract tests."""
        small = LayerSpec(features=8, heads=2, inner=12, dropout=0.0)
        post = LayerSpec(features=8, heads=1, inner=12, dropout=0.0, pre_norm=False, norm="rms", activation="gelu")
        return [
            cls(11, layers=2, layer=small),
            cls(16, layers=1, layer=post, positions="learned", max_length=96),
            cls(11, layers=1, layer=LayerSpec(features=8, heads=4, inner=12, dropout=0.0, norm="batch")),
        ]

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        layout = frame_layout(lengths, tokens.shape[1])
        x = self.stack(self.input(tokens, layout, self.embedding), layout, pattern_of(layout))
        return Memory(layout.leave(x), lengths)
