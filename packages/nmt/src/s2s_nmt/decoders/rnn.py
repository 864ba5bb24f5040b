"""The recurrent decoder, with or without attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from s2s_core.decoding.state import DecodingState
from s2s_core.nn.cells import Steps
from s2s_core.nn.dropout import dropout
from s2s_core.nn.embedding import Embedding, Output
from s2s_core.nn.mask import length_mask
from s2s_core.nn.recurrent_attention import AttentionSteps, ScoreName, build_attention
from s2s_core.nn.recurrent_stack import LayerState, RecurrentLayers, RecurrentStack, start_matrices
from s2s_core.nn.shared_product import SharedProduct
from s2s_core.nn.stack_steps import steps_of
from s2s_core.nn.steps import StepOrder
from s2s_nmt.decoders.attended import Attended
from s2s_nmt.decoders.start import DecoderStart, StartName
from s2s_nmt.interfaces import Decoder, Memory


@dataclass
class RnnAttention:
    """How a recurrent decoder attends."""

    score: ScoreName = "bahdanau"
    """Additive (Bahdanau et al. 2015) or multiplicative (Luong et al. 2015)."""
    scaled: bool = False
    """Normalises the additive score; gives the multiplicative one a learned scale."""
    size: int | None = None
    """Of the space in which queries meet the memory; the layers' size if not given."""
    placement: Literal["top", "gnmt", "gnmt_v2"] = "top"
    """``top``: the highest layer asks, and ``tanh(W [context; hidden])`` is scored (Luong et al. 2015, section 3;
    OpenSeq2Seq scores the context alone). ``gnmt`` (Wu et al. 2016): the lowest layer asks, the context of the step
    before is the others' input. ``gnmt_v2``: that of the same step is."""
    input_feeding: bool = True
    """Whether the first layer's next input holds what ``top`` scored (Luong et al. 2015, section 3.3). Without it no
    layer waits for attention and training runs whole sequences at once. GNMT always feeds its context."""


class RnnDecoder(Decoder):
    """Embedding, recurrent layers, attention, output.

    Teacher forcing computes at once what does not depend on the step before: embeddings, attention keys, every layer
    that no attention feeds, and the vocabulary, for real tokens only.

    Args:
        vocab_size: how many tokens there are.
        in_features: the feature size of the memory.
        embedding_size: the size of a token's vector.
        rnn: size, number and cell of the layers, and their dropout. Skip connections go around every layer but the
            first; in GNMT, but the first two. The output has ``output_dropout`` too.
        attention: how to attend; None decodes from ``start`` alone (Sutskever et al. 2014).
        start: the initial state: ``zeros`` (OpenSeq2Seq's), ``copy`` of the encoder's final state, layer by layer, or
            ``bridge``, a learned layer on it (see `DecoderStart`).
        tie_output: whether the embedding is the output's weight (Press and Wolf 2017), behind a linear layer where the
            sizes differ.
        scaled_embedding: whether vectors are multiplied by ``sqrt(embedding_size)`` and so start with variance one,
            from which small deep stacks learn faster: each layer weakens what is small. OpenSeq2Seq does not scale,
            and scores never are.

    Raises:
        ValueError: if there is no attention and the start is zeros, or sizes disagree.
    """

    def __init__(
        self,
        vocab_size: int,
        in_features: int,
        embedding_size: int,
        rnn: RecurrentLayers,
        attention: RnnAttention | None,
        start: StartName = "zeros",
        tie_output: bool = False,
        scaled_embedding: bool = False,
    ) -> None:
        super().__init__()
        if attention is None and start == "zeros":
            raise ValueError("start: a decoder without attention needs copy or bridge, not zeros")
        self.vocab_size = vocab_size
        self.in_features = in_features
        self.rnn = rnn
        self.embedding = Embedding(vocab_size, embedding_size, scaled_embedding)
        self.placement = None if attention is None else attention.placement
        self.gnmt = self.placement in ("gnmt", "gnmt_v2")
        hidden = rnn.hidden_size
        self.feed_size = _feed_size(attention, in_features, hidden)
        lower, upper = (1, rnn.num_layers - 1) if self.gnmt else (rnn.num_layers, 0)
        first_skip = 2 if self.gnmt else 1
        skips = range(first_skip, rnn.num_layers) if rnn.residual else ()
        self.lower = RecurrentStack(rnn, embedding_size + self.feed_size, lower, skips=[i for i in skips if i < lower])
        self.upper = RecurrentStack(rnn, hidden + in_features, upper, skips=[i - lower for i in skips if i >= lower])
        self.attention = self.combine = None
        if attention is not None:
            self.attention = build_attention(attention.score, hidden, in_features, attention.size, attention.scaled)
            if not self.gnmt:
                self.combine = nn.Linear(in_features + hidden, hidden, bias=False)
        self.initial = DecoderStart(start, rnn, in_features)
        self.project = (
            nn.Linear(hidden, embedding_size, bias=False) if tie_output and hidden != embedding_size else None
        )
        self.output = None if tie_output else Output(hidden, vocab_size)
        start_matrices(self, rnn)

    @classmethod
    def examples(cls) -> list[RnnDecoder]:
        """Small ones for the contract tests."""
        layers, residual = RecurrentLayers(6, 2), RecurrentLayers(6, 4, residual=True)
        gru, normed = RecurrentLayers(6, 2, cell="gru", residual=True), RecurrentLayers(6, 2, cell="layer_norm_lstm")
        return [
            cls(11, 7, 5, layers, RnnAttention("luong")),
            cls(11, 7, 6, gru, RnnAttention("luong", scaled=True, input_feeding=False), "bridge", tie_output=True),
            cls(11, 7, 5, residual, RnnAttention("bahdanau", True, size=4, placement="gnmt_v2"), "zeros", True, True),
            cls(11, 7, 5, residual, RnnAttention("bahdanau", True, placement="gnmt")),
            cls(11, 7, 5, normed, RnnAttention("bahdanau", placement="top"), "bridge"),
            cls(11, 7, 5, layers, None, "bridge"),
        ]

    def forward(self, memory: Memory, tokens: Tensor, lengths: Tensor) -> Tensor:
        order = StepOrder.of(lengths, tokens.shape[1])
        embedded = self.embedding(order.pack(tokens))
        state = [tuple(part.index_select(0, order.rows) for part in layer) for layer in self.initial(memory)]
        if self.attention is None:
            out, _ = self.lower(embedded, order.batch_sizes, state)
        else:
            out = self._attentive(embedded, order, state, self._attended(memory))
        return self._logits(order.row_after_row(out))

    def _attentive(self, embedded: Tensor, order: StepOrder, state: list[LayerState], attended: Attended) -> Tensor:
        below, above = state[: len(self.lower.layers)], state[len(self.lower.layers) :]
        if self.feed_size:
            hidden, context, fed = self._fed(embedded, order, below, attended.select(order.rows))
        else:
            hidden, _ = self.lower(embedded, order.batch_sizes, below)
            found, _ = self._attend(order.unpack(hidden), attended)
            context = order.pack(found)
            fed = self._combined(context, hidden)
        if not self.gnmt:
            return fed
        context = order.delayed(context) if self.placement == "gnmt" else context
        out, _ = self.upper(torch.cat((hidden, context), dim=1), order.batch_sizes, above)
        return out

    def _fed(
        self, embedded: Tensor, order: StepOrder, state: list[LayerState], attended: Attended
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Step by step: hidden states, contexts and what is fed back, each ``(frames, size)``."""
        assert self.attention is not None
        step = steps_of(self.lower, embedded)
        attend = AttentionSteps(self.attention, attended.keys, attended.values, attended.mask)
        combine = None if self.combine is None else SharedProduct(self.combine.weight)
        feed = embedded.new_zeros(order.batch_sizes[0], self.feed_size)
        made: list[tuple[Tensor, Tensor, Tensor]] = []
        for rows, frames in Steps(order.batch_sizes, reverse=False).ordered():
            state = [tuple(part[:rows] for part in layer) for layer in state]
            hidden, state = step(frames, feed[:rows], state)
            context = attend(hidden)
            joined = torch.cat((context, hidden.to(context.dtype)), dim=1)
            feed = context if combine is None else torch.tanh(combine(joined))
            made.append((hidden, context, feed))
        hidden, context, feed = (torch.cat(parts) for parts in zip(*made, strict=True))
        return hidden, context, feed

    def _one(
        self, x: Tensor, feed: Tensor, state: list[LayerState], attended: Attended
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, list[LayerState]]:
        """A step of the lower layers and of attention; the rows of a sentence are neighbours."""
        hidden, state = self.lower.step(torch.cat((x, feed), dim=1) if self.feed_size else x, state)
        context, weights = self._attend(hidden.unflatten(0, (len(attended.keys), -1)), attended)
        context = context.flatten(0, 1)
        return hidden, context, self._combined(context, hidden), weights.flatten(0, 1), state

    def _attend(self, queries: Tensor, attended: Attended) -> tuple[Tensor, Tensor]:
        assert self.attention is not None
        return self.attention(queries, attended.keys, attended.values, attended.mask)

    def _combined(self, context: Tensor, hidden: Tensor) -> Tensor:
        if self.combine is None:
            return context
        return torch.tanh(self.combine(torch.cat((context, hidden.to(context.dtype)), dim=1)))

    def _logits(self, out: Tensor) -> Tensor:
        out = dropout(out, self.rnn.output_dropout, self.training)
        out = out if self.project is None else self.project(out)
        if self.output is not None:
            return self.output(out)
        return self.embedding.scores(out)

    def _attended(self, memory: Memory) -> Attended:
        assert self.attention is not None
        mask = length_mask(memory.lengths, memory.values.shape[1])
        return Attended(self.attention.keys(memory.values), memory.values, mask)

    def start(self, memory: Memory) -> RnnState:
        attended = None if self.attention is None else self._attended(memory)
        feed = memory.values.new_zeros(len(memory.lengths), self.feed_size if self.feed_size else 0)
        return RnnState(self.initial(memory), feed, attended, 1, None)

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, RnnState]:
        assert isinstance(state, RnnState)
        x = self.embedding(tokens)
        if state.attended is None:
            out, layers = self.lower.step(x, state.layers)
            return self._logits(out), replace(state, layers=layers)
        count = len(self.lower.layers)
        hidden, context, feed, weights, below = self._one(x, state.feed, state.layers[:count], state.attended)
        out, above = feed, []
        if self.gnmt:
            seen = state.feed if self.placement == "gnmt" else context
            out, above = self.upper.step(torch.cat((hidden, seen), dim=1), state.layers[count:])
        return self._logits(out), replace(state, layers=below + above, feed=feed, attention=weights)


@dataclass
class RnnState(DecodingState):
    """The state of an `RnnDecoder`."""

    layers: list[LayerState]
    feed: Tensor
    """``(rows, size)``: what the last step feeds to the next."""
    attended: Attended | None
    width: int
    """Rows a sentence."""
    attention: Tensor | None

    def expand(self, width: int) -> RnnState:
        spread = self._changed(lambda part: part.repeat_interleave(width, dim=0))
        return replace(spread, width=self.width * width)

    def select(self, rows: Tensor) -> RnnState:
        attended = None if self.attended is None else self.attended.kept(rows, self.width)
        return replace(self._changed(lambda part: part.index_select(0, rows)), attended=attended)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> RnnState:
        layers = [tuple(change(part) for part in layer) for layer in self.layers]
        attention = None if self.attention is None else change(self.attention)
        return replace(self, layers=layers, feed=change(self.feed), attention=attention)


def _feed_size(attention: RnnAttention | None, in_features: int, hidden: int) -> int:
    if attention is None:
        return 0
    if attention.placement in ("gnmt", "gnmt_v2"):
        return in_features
    if attention.placement != "top":
        raise ValueError(f"placement must be top, gnmt or gnmt_v2, got {attention.placement!r}")
    return hidden if attention.input_feeding else 0
