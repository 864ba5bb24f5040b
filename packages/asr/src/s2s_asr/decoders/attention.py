"""Attend and spell: recurrent layers that look at the encodings for every label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_asr.decoders.attention_search import AttentionSearch, ended_texts
from s2s_asr.interfaces import FoundText, SearchPlan, SpellingDecoder, TokenSpan
from s2s_asr.words import marks
from s2s_core.decoding.state import DecodingState
from s2s_core.nn.dropout import Dropout
from s2s_core.nn.location_attention import Attended, LocationAttention
from s2s_core.nn.mask import length_mask
from s2s_core.nn.recurrent_stack import LayerState, RecurrentLayers, RecurrentStack
from s2s_core.nn.stack_steps import steps_of


@dataclass
class Location:
    """Location-sensitive attention: the size of its space, and its convolution over earlier weights."""

    size: int = 256
    filters: int = 10
    kernel: int = 101
    """Taps; odd. Chorowski et al. 2015, section 4.1, convolve the weights of the step before with 10 of 201."""


class Listened(NamedTuple):
    """Encodings as the decoder attends to them."""

    values: Tensor
    """``(batch, time, in_features)``."""
    keys: Tensor
    """``(batch, time, attention size)``."""
    mask: Tensor
    """``(batch, time)``, true where a frame is real; the first frame of an empty utterance counts as one."""


class AttentionDecoder(SpellingDecoder):
    """Scores of the next label from the labels before it and from where in the encodings they point.

    Listen, attend and spell (Chan et al. 2015, https://arxiv.org/abs/1508.01211, section 3.2) with location-sensitive
    attention (Chorowski et al. 2015, https://arxiv.org/abs/1506.07503, section 2.1), as OpenSeq2Seq's decoder of that
    name has it: the layers read the last label and what was attended to before it, ask where to look now, and both
    together are scored. The end of a text is a label of its own, the last; a text begins with it, too.

    Args:
        in_features: size of an encoding.
        vocab_size: number of labels, without the end.
        embedding_size: of a label.
        layers: the recurrent ones; LSTM or GRU.
        attention: its sizes.
        dropout: drop probability of a label's embedding and of what is scored.
        max_positions: if not 0, each of so many places in a text has a learnt vector, added to the embedding of what
            stands there (OpenSeq2Seq: 1024); later places share the last.
        search: how text is found.

    Raises:
        ValueError: if a size is not positive, or the search wants a CTC decoder.
    """

    gives: ClassVar[str] = "next labels"
    lm_weights: ClassVar[tuple[float, float]] = (0.2, 1.0)
    """Less than CTC's: the decoder has learnt how texts go on itself."""

    def __init__(
        self,
        in_features: int,
        vocab_size: int,
        embedding_size: int = 256,
        layers: RecurrentLayers | None = None,
        attention: Location | None = None,
        dropout: float = 0.0,
        max_positions: int = 0,
        search: AttentionSearch | None = None,
    ) -> None:
        super().__init__()
        if min(in_features, vocab_size, embedding_size) < 1 or max_positions < 0:
            raise ValueError(f"sizes must be positive, got {in_features}, {vocab_size}, {embedding_size}")
        self.search = search or AttentionSearch()
        if self.search.ctc_weight:
            raise ValueError(f"search.ctc_weight is {self.search.ctc_weight}, but there is no CTC: see JointDecoder")
        self.in_features, self.vocab_size = in_features, vocab_size
        settings, location = layers or RecurrentLayers(512, 1), attention or Location()
        self.embedding = nn.Embedding(vocab_size + 1, embedding_size)
        self.positions = nn.Embedding(max_positions, embedding_size) if max_positions else None
        self.layers = RecurrentStack(settings, embedding_size + in_features)
        hidden = self.layers.out_features
        self.attention = LocationAttention(hidden, in_features, location.size, location.filters, location.kernel)
        self.output = nn.Linear(hidden + in_features, vocab_size + 1)
        self.dropout = Dropout(dropout)

    @classmethod
    def examples(cls) -> list[AttentionDecoder]:
        """Small ones for the contract tests."""
        small = Location(5, 3, 5)
        return [
            cls(7, 5, 4, RecurrentLayers(6, 1), small, search=AttentionSearch(beam_width=1)),
            cls(7, 5, 4, RecurrentLayers(6, 2, cell="gru"), small, max_positions=3),
        ]

    @property
    def end(self) -> int:
        """The label that ends a text, and begins it."""
        return self.vocab_size

    def forward(self, encodings: Tensor, lengths: Tensor) -> Listened:
        """What every step attends to, of ``(batch, time, in_features)``."""
        time = torch.arange(encodings.shape[1], device=lengths.device)
        mask = length_mask(lengths, encodings.shape[1]) | (time == 0)
        # padding has no weight, and must not be NaN
        values = encodings.masked_fill(~mask[..., None], 0.0)
        return Listened(values, self.attention.keys(values), mask)

    def scores(self, seen: Listened, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """Logits ``(batch, tokens + 1, vocab_size + 1)``: what comes before the first label and after each."""
        return self.spell(seen, tokens)[0]

    def spell(self, seen: Listened, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of all next labels given the true ones, and the attention weights ``(batch, tokens + 1, time)``."""
        batch, steps = len(tokens), tokens.shape[1] + 1
        shifted = F.pad(tokens, (1, 0), value=self.end).T
        places = torch.arange(steps, device=tokens.device)[:, None]
        known = self.dropout(self._embedded(shifted, places)).flatten(0, 1)
        take = steps_of(self.layers, known)
        state = self.layers.initial_state(batch, known)
        context = seen.values.new_zeros(batch, self.in_features)
        before = self.attention.start(seen.values)
        outputs, weights = [], []
        for step in range(steps):
            hidden, state = take(slice(step * batch, (step + 1) * batch), context, state)
            hidden = hidden.to(seen.values.dtype)
            context, before = self.attention.step(hidden, seen.keys, seen.values, seen.mask, before)
            outputs.append(torch.cat((hidden, context), dim=1))
            weights.append(before.weights)
        return self.output(self.dropout(torch.stack(outputs, dim=1))), torch.stack(weights, dim=1)

    def _embedded(self, tokens: Tensor, places: Tensor) -> Tensor:
        embedded = self.embedding(tokens)
        if self.positions is None:
            return embedded
        return embedded + self.positions(places.clamp(max=self.positions.num_embeddings - 1))

    def start(self, seen: Listened, tells: bool = True) -> AttentionState:
        """The state before the first label; ``tells`` a search where the decoder looks, or not."""
        batch = len(seen.values)
        context = seen.values.new_zeros(batch, self.in_features)
        place = torch.zeros(batch, dtype=torch.int64, device=context.device)
        layers = self.layers.initial_state(batch, context)
        return AttentionState(seen, layers, context, self.attention.start(seen.values), place, tells)

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, AttentionState]:
        """Take one more label a row, ``(rows,)``, the end the first; returns logits ``(rows, vocab_size + 1)``."""
        assert isinstance(state, AttentionState)
        seen = state.seen
        embedded = self._embedded(tokens, state.place)
        inputs = torch.cat((embedded, state.context.to(embedded.dtype)), dim=1)
        hidden, layers = self.layers.step(inputs, state.layers)
        hidden = hidden.to(seen.values.dtype)
        context, before = self.attention.step(hidden, seen.keys, seen.values, seen.mask, state.before)
        logits = self.output(torch.cat((hidden, context), dim=1))
        return logits, replace(state, layers=layers, context=context, before=before, place=state.place + 1)

    @property
    def beam_width(self) -> int:  # type: ignore[override]
        return self.search.beam.beam_width

    def search_texts(self, seen: Listened, lengths: Tensor, plan: SearchPlan | None = None) -> list[list[FoundText]]:
        return ended_texts(self.search(self, seen, lengths, plan=plan))

    @torch.inference_mode()
    def locate(
        self, texts: list[FoundText], seen: Listened, lengths: Tensor, kept: Sequence[slice]
    ) -> list[list[TokenSpan]]:
        """Each label is in the frame that it looks at most, or in that of the label before it, if that is later."""
        device, labels = lengths.device, [text.tokens for text in texts]
        most = max((len(text) for text in labels), default=0)
        tokens = torch.tensor([text + [0] * (most - len(text)) for text in labels], dtype=torch.int64, device=device)
        logits, weights = self.spell(seen, tokens.view(len(texts), most))
        chosen = logits[:, :most].float().softmax(-1).gather(2, tokens.view(len(texts), most, 1))[..., 0]
        frames = weights[:, :most].argmax(dim=-1).cummax(dim=1).values if most else tokens.view(len(texts), 0)
        columns = zip(labels, frames.tolist(), chosen.tolist(), lengths.tolist(), kept, strict=True)
        return [
            marks(text, places[: len(text)], chances[: len(text)], length, keep)
            for text, places, chances, length, keep in columns
        ]


@dataclass
class AttentionState(DecodingState):
    """The state of an `AttentionDecoder`, a row a hypothesis."""

    seen: Listened
    layers: list[LayerState]
    context: Tensor
    """``(rows, in_features)``: what was attended to last."""
    before: Attended
    place: Tensor
    """``(rows,)``: how many labels were taken."""
    tells: bool = True
    """Whether a search is handed the weights; it keeps those of every step."""

    @property
    def attention(self) -> Tensor | None:  # type: ignore[override]
        return self.before.weights if self.tells else None

    def expand(self, width: int) -> AttentionState:
        def repeated(part: Tensor) -> Tensor:
            return part.repeat_interleave(width, dim=0)

        return self._changed(Listened(*map(repeated, self.seen)), repeated)

    def select(self, rows: Tensor) -> AttentionState:
        def chosen(part: Tensor) -> Tensor:
            return part.index_select(0, rows)

        # as many as before: no sentence has left, and the rows of one hear the same
        seen = self.seen if len(rows) == len(self.place) else Listened(*map(chosen, self.seen))
        return self._changed(seen, chosen)

    def _changed(self, seen: Listened, change: Callable[[Tensor], Tensor]) -> AttentionState:
        return replace(
            self,
            seen=seen,
            layers=[tuple(change(part) for part in layer) for layer in self.layers],
            context=change(self.context),
            before=Attended(*map(change, self.before)),
            place=change(self.place),
        )
