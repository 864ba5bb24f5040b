"""CTC and attention over one encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor

from s2s_asr.decoders.attention import AttentionDecoder, Listened, Location
from s2s_asr.decoders.attention_search import AttentionSearch, ended_texts
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.interfaces import FoundText, SearchPlan, SpellingDecoder, TokenSpan
from s2s_core.nn.recurrent_stack import RecurrentLayers


class Heard(NamedTuple):
    """Encodings as both decoders see them."""

    logits: Tensor
    """``(batch, time, vocab_size + 1)``, CTC's, blank last."""
    listened: Listened


class JointScores(NamedTuple):
    """Scores of both decoders."""

    frames: Tensor
    """``(batch, time, vocab_size + 1)``, CTC's, blank last."""
    labels: Tensor
    """``(batch, tokens + 1, vocab_size + 1)``, of the next labels, the end last."""


class JointDecoder(SpellingDecoder):
    """Joint CTC-attention (Kim et al. 2017, https://arxiv.org/abs/1609.06773): CTC keeps attention in order, in
    training and, with a ``ctc_weight``, in the search.

    Args:
        attention: the decoder that attends; its own search is not used.
        search: how text is found; the default has a beam of 4, as OpenSeq2Seq's, and a ``ctc_weight`` of 0.3.
    """

    gives: ClassVar[str] = "frames and next labels"

    def __init__(self, attention: AttentionDecoder, search: AttentionSearch | None = None) -> None:
        super().__init__()
        self.in_features, self.vocab_size = attention.in_features, attention.vocab_size
        self.ctc = CtcDecoder(attention.in_features, attention.vocab_size)
        self.attention = attention
        self.search = search or AttentionSearch(ctc_weight=0.3)

    @classmethod
    def examples(cls) -> list[JointDecoder]:
        """Small ones for the contract tests."""
        attention = AttentionDecoder(7, 5, 4, RecurrentLayers(6, 1), Location(5, 3, 5))
        return [cls(attention), cls(AttentionDecoder.examples()[1], AttentionSearch(2, ctc_weight=1.0))]

    def forward(self, encodings: Tensor, lengths: Tensor) -> Heard:
        """What both make of ``(batch, time, in_features)``."""
        return Heard(self.ctc(encodings, lengths), self.attention(encodings, lengths))

    def scores(self, seen: Heard, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> JointScores:
        """The scores of both."""
        return JointScores(seen.logits, self.attention.scores(seen.listened, lengths, tokens, token_lengths))

    @property
    def beam_width(self) -> int:  # type: ignore[override]
        return self.search.beam.beam_width

    def search_texts(self, seen: Heard, lengths: Tensor, plan: SearchPlan | None = None) -> list[list[FoundText]]:
        return ended_texts(self.search(self.attention, seen.listened, lengths, seen.logits, plan))

    def locate(
        self, texts: list[FoundText], seen: Heard, lengths: Tensor, kept: Sequence[slice]
    ) -> list[list[TokenSpan]]:
        return self.attention.locate(texts, seen.listened, lengths, kept)
