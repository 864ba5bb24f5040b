"""What flows between the parts of a recogniser, and the parts' abstract classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from s2s_core.losses.reduction import LossSum
from s2s_core.part import Part


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


class Decoder(Part, nn.Module, ABC):
    """Encodings to scores of labels."""

    in_features: int
    vocab_size: int
    """The number of the tokenizer's labels, without blank."""

    @abstractmethod
    def forward(self, encodings: Tensor, lengths: Tensor) -> Tensor:
        """Score ``(batch, time, in_features)``: logits ``(batch, time, labels)``."""

    @abstractmethod
    def greedy(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """The most likely labels of each utterance, without search."""


class Loss(Part, nn.Module, ABC):
    """Scores and transcripts to a number."""

    @abstractmethod
    def forward(self, logits: Tensor, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        """Compare logits ``(batch, time, labels)`` with tokens ``(batch, tokens)``."""
