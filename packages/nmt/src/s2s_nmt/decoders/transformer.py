"""The Transformer's decoder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from s2s_core.decoding.state import DecodingState
from s2s_core.nn.attention_pattern import pattern_of
from s2s_core.nn.embedding import Embedding, Output
from s2s_core.nn.frames import frame_layout
from s2s_core.nn.mask import length_mask
from s2s_core.nn.positions import PositionName
from s2s_core.nn.token_input import TokenInput
from s2s_core.nn.transformer import LayerSpec, LayerState, TransformerStack
from s2s_nmt.interfaces import Decoder, Memory


@dataclass(frozen=True)
class TransformerState(DecodingState):
    """The keys and values of the tokens so far, one row a hypothesis, and those of the source, one row a sentence."""

    layers: list[LayerState]
    place: int
    """How many tokens have been taken."""
    width: int | None
    """Hypotheses a sentence; None before `expand`, when rows may go their own ways."""

    def expand(self, width: int) -> TransformerState:
        return TransformerState([layer.expand(width) for layer in self.layers], self.place, width * (self.width or 1))

    def select(self, rows: Tensor) -> TransformerState:
        sentences = None
        if self.width is None:
            sentences = rows
        elif len(rows) != self.layers[0].past.sentences * self.width:  # otherwise no sentence has left
            sentences = rows[:: self.width] // self.width
        return TransformerState([layer.select(rows, sentences) for layer in self.layers], self.place, self.width)


class TransformerDecoder(Decoder):
    """Causal self-attention over the target, and attention to the source (Vaswani et al. 2017, arXiv 1706.03762).

    Padding costs nothing on the host. Step by step, keys and values are kept: those of the source once a sentence,
    however many hypotheses it has. OpenSeq2Seq began a target with a vector of zeros; here ``BOS_ID`` has one of its
    own.

    Args:
        in_features: of the memory.
        vocab_size: of the target.
        layers: how many.
        layer: sizes and rules of a layer; OpenSeq2Seq's layers are pre-norm without biases in attention.
        positions: what tells positions apart.
        max_length: of a sequence, where positions are learned.
        tie_output: whether tokens are scored by their own embeddings, as in the paper.

    Raises:
        ValueError: for sizes that do not suit one another.
    """

    def __init__(
        self,
        in_features: int,
        vocab_size: int,
        layers: int = 6,
        layer: LayerSpec = LayerSpec(),  # noqa: B008  it is frozen
        positions: PositionName = "sinusoidal",
        max_length: int = 512,
        tie_output: bool = True,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.vocab_size = vocab_size
        self.embedding = Embedding(vocab_size, layer.features, scaled=True)
        self.input = TokenInput(layer.features, positions, max_length, layer.dropout)
        self.stack = TransformerStack(layers, layer, in_features)
        self.output = None if tie_output else Output(layer.features, vocab_size)

    @classmethod
    def examples(cls) -> list[TransformerDecoder]:
        """Small ones for the contract tests."""
        small = LayerSpec(features=8, heads=2, inner=12, dropout=0.0)
        post = LayerSpec(features=8, heads=1, inner=12, dropout=0.0, pre_norm=False, norm="rms", activation="gelu")
        return [
            cls(6, 11, layers=2, layer=small),
            cls(6, 16, layers=1, layer=post, positions="learned", max_length=96, tie_output=False),
            cls(6, 11, layers=1, layer=LayerSpec(features=8, heads=4, inner=12, dropout=0.0, norm="batch")),
        ]

    def forward(self, memory: Memory, tokens: Tensor, lengths: Tensor) -> Tensor:
        layout = frame_layout(lengths, tokens.shape[1])
        source = frame_layout(memory.lengths, memory.values.shape[1])
        x = self.input(tokens, layout, self.embedding)
        patterns = pattern_of(layout, causal=True), pattern_of(layout, source)
        x = self.stack(x, layout, patterns[0], source.enter(memory.values), patterns[1])
        real = x[0] if layout.mask is None else x[layout.mask[..., 0]]
        return self._scores(real)

    def start(self, memory: Memory) -> TransformerState:
        mask = length_mask(memory.lengths, memory.values.shape[1])
        return TransformerState(self.stack.start(len(mask), memory.values, mask), 0, None)

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, TransformerState]:
        assert isinstance(state, TransformerState)
        x = self.input.step(tokens, state.place, self.embedding)
        x, layers = self.stack.step(x, state.layers)
        return self._scores(x), TransformerState(layers, state.place + 1, state.width)

    def _scores(self, x: Tensor) -> Tensor:
        return self.embedding.scores(x) if self.output is None else self.output(x)
