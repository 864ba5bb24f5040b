"""What flows between the parts of a recogniser, and the parts' abstract classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from s2s_asr.search.settings import DEFAULT_WEIGHTS
from s2s_core.losses.reduction import LossSum
from s2s_core.part import Part

if TYPE_CHECKING:
    from s2s_core.decoding.word_stepper import WordStepper


@dataclass
class SpeechBatch:
    """Utterances of one batch, padded to the longest."""

    audio: Tensor
    """``(batch, samples)``, float32 in [-1, 1], zeros after each utterance's end."""
    audio_lengths: Tensor
    """``(batch,)``, samples."""
    tokens: Tensor
    """``(batch, tokens)``, int64, zeros after each transcript's end; ``(batch, 0)`` without transcripts."""
    token_lengths: Tensor
    """``(batch,)``."""
    ids: list[str]
    """The utterances' names in their manifest."""
    texts: list[str]
    """The transcripts as text, normalised as the tokenizer sees them."""


class Encoder(Part, nn.Module, ABC):
    """Features to encodings."""

    in_features: int
    out_features: int

    @abstractmethod
    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode ``(batch, time, in_features)`` with true ``lengths`` (batch,).

        Returns:
            encodings ``(batch, time', out_features)``, zero after each utterance's end, and their lengths.
        """

    @abstractmethod
    def output_lengths(self, lengths: Tensor) -> Tensor:
        """The number of encodings that ``lengths`` input frames give."""

    def stream(self) -> EncoderStream | None:
        """This encoder, in evaluation, on one utterance that arrives in pieces: the encodings are those that `forward`
        gives of the whole. None if they depend on all of it, as those of a bidirectional layer do."""
        return None


class EncoderStream(ABC):
    """An encoder at work on one utterance that is still going on; begins at its first frame."""

    stride: int
    """Input frames from one encoding to the next: encoding ``t`` stands at frame ``t * stride``."""
    lookahead: int
    """Input frames after its place that an encoding waits for."""

    @abstractmethod
    def push(self, frames: Tensor, last: bool = False) -> Tensor:
        """More frames ``(1, time, in_features)`` to the encodings ``(1, time', out_features)`` that they complete; with
        ``last``, to all that are left."""


class TokenSpan(NamedTuple):
    """A recognised token and the frames that it was found in."""

    token: int
    start: int
    """First frame."""
    end: int
    """One past the last frame."""
    probability: float
    """The highest that the token reaches among its frames."""


class Decoder(Part, nn.Module, ABC):
    """Encodings to text. Its family decides what is trained (`scores`, which a loss compares with the transcripts) and
    how text is found (`recognise`); both begin with what `forward` makes of the encodings alone."""

    in_features: int
    vocab_size: int
    """The number of the tokenizer's labels, without blank or any other label that the family adds."""
    gives: ClassVar[str] = "frames"
    """What `scores` returns, in a word; a loss ``takes`` the same."""

    @abstractmethod
    def forward(self, encodings: Tensor, lengths: Tensor) -> Any:
        """What ``(batch, time, in_features)`` say without a transcript: a frame decoder's logits."""

    @abstractmethod
    def scores(self, seen: Any, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Any:
        """What the loss compares with ``tokens`` (batch, tokens); ``seen`` is what `forward` returned."""

    @abstractmethod
    def recognise(self, seen: Any, lengths: Tensor) -> list[list[int]]:
        """The labels of each utterance."""

    @abstractmethod
    def spans(self, seen: Any, lengths: Tensor, kept: Sequence[slice]) -> list[list[TokenSpan]]:
        """The labels of each utterance and where they are, of the frames ``kept`` of each, which count from 0 there."""


class FrameDecoder(Decoder):
    """Scores every frame for itself: a frame's logits depend on no label before it."""

    @abstractmethod
    def forward(self, encodings: Tensor, lengths: Tensor) -> Tensor:
        """Score ``(batch, time, in_features)``: logits ``(batch, time, labels)``."""

    @abstractmethod
    def greedy(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """The most likely labels of each utterance, without search."""

    @abstractmethod
    def greedy_spans(self, logits: Tensor, lengths: Tensor) -> list[list[TokenSpan]]:
        """The labels of `greedy`, the frames that spell them, and their probabilities."""

    def scores(self, seen: Any, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Any:
        """The logits themselves."""
        return seen

    def recognise(self, seen: Any, lengths: Tensor) -> list[list[int]]:
        return self.greedy(seen, lengths)

    def spans(self, seen: Any, lengths: Tensor, kept: Sequence[slice]) -> list[list[TokenSpan]]:
        rows = [row[:length][keep] for row, length, keep in zip(seen, lengths.tolist(), kept, strict=True)]
        counts = torch.tensor([len(row) for row in rows], device=lengths.device)
        return self.greedy_spans(pad_sequence(rows, batch_first=True), counts)


class SearchPlan(NamedTuple):
    """How a search departs from the one that its decoder was built with."""

    beam_width: int
    nbest: int
    """Texts to return for each utterance."""
    words: WordStepper | None = None
    """An n-gram model over words that takes part."""
    margin: float = 0.0
    """By how much open hypotheses must rank below the finished ones to be given up, where words take part."""


class FoundText(NamedTuple):
    """A text that a search over labels found."""

    tokens: list[int]
    log_probability: float
    """Of the text, and what language models add: what texts are ranked by."""
    frames: Sequence[int] = ()
    """Where each label came out, if the search tells."""
    probabilities: Sequence[float] = ()
    """Of each label there."""


class SpellingDecoder(Decoder):
    """Finds one label after the other: what a label scores depends on those before it, so that no search can do
    without the decoder."""

    beam_width: int
    """Of the search that it was built with."""
    lm_weights: ClassVar[tuple[float, float]] = DEFAULT_WEIGHTS
    """The weight of an n-gram model over words, and the bonus for each word, where a search is told none."""

    @abstractmethod
    def search_texts(self, seen: Any, lengths: Tensor, plan: SearchPlan | None = None) -> list[list[FoundText]]:
        """The texts of each utterance, the best first; none where a model gives no numbers."""

    @abstractmethod
    def locate(
        self, texts: list[FoundText], seen: Any, lengths: Tensor, kept: Sequence[slice]
    ) -> list[list[TokenSpan]]:
        """Where the labels of a text of each utterance are, see `spans`."""

    def recognise(self, seen: Any, lengths: Tensor) -> list[list[int]]:
        return [found[0].tokens if found else [] for found in self.search_texts(seen, lengths)]

    def spans(self, seen: Any, lengths: Tensor, kept: Sequence[slice]) -> list[list[TokenSpan]]:
        nothing = FoundText([], 0.0)
        texts = [found[0] if found else nothing for found in self.search_texts(seen, lengths)]
        return self.locate(texts, seen, lengths, kept)


class Loss(Part, nn.Module, ABC):
    """Scores and transcripts to a number."""

    takes: ClassVar[str] = "frames"
    """What its scores are, in a word; a decoder ``gives`` the same."""

    @abstractmethod
    def forward(self, logits: Any, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        """Compare a decoder's scores, for frames logits ``(batch, time, labels)``, with tokens ``(batch, tokens)``."""
