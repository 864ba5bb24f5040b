"""The decoder of convolutional sequence to sequence learning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from s2s_core.decoding.state import DecodingState
from s2s_core.nn.cells import wide
from s2s_core.nn.dropout import dropout
from s2s_core.nn.embedding import Output
from s2s_core.nn.mask import length_mask
from s2s_core.nn.windows import RowOrder
from s2s_nmt.decoders.attended import Attended
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
from s2s_nmt.interfaces import Decoder, Memory


class ConvS2SDecoder(Decoder):
    """Causal gated convolutions, each followed by attention (Gehring et al. 2017, section 3.3).

    A layer's query is its output in the size of embeddings, plus the target's embedding; keys are the memory's values,
    and what is read is values plus source embeddings (values alone, from an encoder that hands on no embeddings), times
    the square root of the source's true length. OpenSeq2Seq takes the padded length, and computes all steps anew for
    each token that it decodes; here a step keeps what its convolutions still see.

    Args:
        vocab_size: how many tokens there are.
        in_features: the feature size of the memory; a learned layer brings it to ``embedding_size`` if it differs.
        embedding_size: the size of a token's vector.
        layers: the convolutions, dropouts and positions.
        output_size: of what is scored; ``embedding_size`` if not given.
        output_dropout: its drop probability.
        tie_output: whether the embedding is the output's weight.

    Raises:
        ValueError: if the output is tied and ``output_size`` is not ``embedding_size``.
    """

    def __init__(
        self,
        vocab_size: int,
        in_features: int,
        embedding_size: int,
        layers: ConvS2SLayers,
        output_size: int | None = None,
        output_dropout: float = 0.1,
        tie_output: bool = True,
    ) -> None:
        super().__init__()
        output_size = embedding_size if output_size is None else output_size
        if tie_output and output_size != embedding_size:
            raise ValueError(f"a tied output needs output_size {embedding_size}, the embedding's, got {output_size}")
        self.vocab_size = vocab_size
        self.in_features = in_features
        self.output_dropout = output_dropout
        self.embedding = token_embedding(vocab_size, embedding_size)
        self.input = ConvS2SInput(embedding_size, layers)
        self.memory = None if in_features == embedding_size else WeightNormLinear(in_features, embedding_size)
        self.enter = WeightNormLinear(embedding_size, layers.blocks[0].channels, dropout=layers.embedding_dropout)
        self.layers = convolutions(layers)
        self.ask = nn.ModuleList(WeightNormLinear(c.channels, embedding_size) for c in layers.convolutions)
        self.read = nn.ModuleList(WeightNormLinear(embedding_size, c.channels) for c in layers.convolutions)
        self.leave = WeightNormLinear(layers.blocks[-1].channels, output_size)
        self.output = None if tie_output else Output(output_size, vocab_size, bias=True)

    @classmethod
    def examples(cls) -> list[ConvS2SDecoder]:
        """Small ones for the contract tests."""
        mixed = ConvS2SLayers([ConvBlock(6, 3, 2), ConvBlock(8, 1), ConvBlock(4, 2)], 0.0, 0.0, max_length=16)
        plain = ConvS2SLayers([ConvBlock(4, 4)], 0.0, 0.0, positions=False)
        return [cls(11, 7, 5, mixed, output_dropout=0.0), cls(16, 4, 4, plain, 6, 0.0, tie_output=False)]

    def forward(self, memory: Memory, tokens: Tensor, lengths: Tensor) -> Tensor:
        order = RowOrder.of(lengths, tokens.shape[1])
        embedded = self.input(order.pack(tokens), order.before, self.embedding)
        attended = self._attended(memory)
        x = self.enter(embedded)
        for i, layer in enumerate(self._convolutions()):
            found = layer(order.windows(layer.drop(x), 1 - layer.kernel, 0))
            context, _ = _attend(order.unpack(self._query(i, found, embedded)), attended)
            x = self._joined(i, layer, x, found, order.pack(context))
        return self._logits(x)

    def start(self, memory: Memory) -> ConvS2SState:
        attended = self._attended(memory)
        rows = len(memory.lengths)
        layers = self._convolutions()
        past = [attended.values.new_zeros(rows, layer.kernel - 1, layer.in_features) for layer in layers]
        return ConvS2SState(past, [layer.taps.weight for layer in layers], attended, 1, 0, None)

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, ConvS2SState]:
        assert isinstance(state, ConvS2SState)
        embedded = self.input(tokens, torch.full_like(tokens, state.place), self.embedding)
        x, past, looks = self.enter(embedded), [], []
        for i, layer in enumerate(self._convolutions()):
            windows = torch.cat((state.past[i], x[:, None].to(state.past[i].dtype)), dim=1)
            past.append(windows[:, 1:])
            found = layer(windows.flatten(1), state.weights[i])
            queries = self._query(i, found, embedded).unflatten(0, (len(state.attended.keys), -1))
            context, weights = _attend(queries, state.attended)
            looks.append(weights.flatten(0, 1))
            x = self._joined(i, layer, x, found, context.flatten(0, 1))
        attention = torch.stack(looks).mean(0)
        return self._logits(x), replace(state, past=past, place=state.place + 1, attention=attention)

    def _convolutions(self) -> list[GatedConvolution]:
        return [layer for layer in self.layers if isinstance(layer, GatedConvolution)]

    def _query(self, i: int, found: Tensor, embedded: Tensor) -> Tensor:
        return (self.ask[i](found) + embedded) * HALF

    def _joined(self, i: int, layer: GatedConvolution, x: Tensor, found: Tensor, context: Tensor) -> Tensor:
        return ((self.read[i](context) + found) * HALF + layer.skipped(x)) * HALF

    def _attended(self, memory: Memory) -> Attended:
        mask = length_mask(memory.lengths, memory.values.shape[1])
        keys = values = memory.values
        if memory.embedded is not None:
            values = (values + memory.embedded) * HALF
        if self.memory is not None:
            keys, values = self.memory(keys), self.memory(values)
        return Attended(keys, values * memory.lengths.sqrt().to(values.dtype)[:, None, None], mask)

    def _logits(self, x: Tensor) -> Tensor:
        out = dropout(self.leave(x), self.output_dropout, self.training)
        if self.output is not None:
            return self.output(out)
        return self.embedding.scores(out)


@dataclass(frozen=True)
class ConvS2SState(DecodingState):
    """The state of a `ConvS2SDecoder`."""

    past: list[Tensor]
    """What each convolution still sees, ``(rows, kernel - 1, channels)``."""
    weights: list[Tensor]
    """The convolutions' normalised weights."""
    attended: Attended
    width: int
    """Rows a sentence."""
    place: int
    """How many tokens were taken."""
    attention: Tensor | None
    """Where the last step looked, the mean over layers."""

    def expand(self, width: int) -> ConvS2SState:
        spread = self._changed(lambda part: part.repeat_interleave(width, dim=0))
        return replace(spread, width=self.width * width)

    def select(self, rows: Tensor) -> ConvS2SState:
        changed = self._changed(lambda part: part.index_select(0, rows))
        return replace(changed, attended=self.attended.kept(rows, self.width))

    def _changed(self, change: Callable[[Tensor], Tensor]) -> ConvS2SState:
        attention = None if self.attention is None else change(self.attention)
        return replace(self, past=[change(part) for part in self.past], attention=attention)


def _attend(queries: Tensor, attended: Attended) -> tuple[Tensor, Tensor]:
    """``(sentences, queries, size)`` to contexts of that shape and weights ``(sentences, queries, time)``, float32."""
    scores = wide(queries.to(attended.keys.dtype) @ attended.keys.mT)
    weights = scores.masked_fill(~attended.mask[:, None], float("-inf")).softmax(-1)
    return weights.to(attended.values.dtype) @ attended.values, weights
