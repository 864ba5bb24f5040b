"""What flows between the parts of a text-to-text model, and the parts' abstract classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from s2s_core.decoding.state import DecodingState
from s2s_core.losses.reduction import LossSum
from s2s_core.nn.embedding import Embedding
from s2s_core.part import Part
from s2s_core.text.sentences import BOS_ID, EOS_ID, PAD_ID, UNK_ID

__all__ = ["BOS_ID", "EOS_ID", "PAD_ID", "UNK_ID", "Decoder", "Encoder", "Loss", "Memory", "TextBatch"]


@dataclass
class TextBatch:
    """Sentence pairs of one batch, padded to the longest of each side."""

    source: Tensor
    """``(batch, source time)``, int64; each row ends with ``EOS_ID``, then ``PAD_ID``."""
    source_lengths: Tensor
    """``(batch,)``, ``EOS_ID`` included."""
    target: Tensor
    """``(batch, target time)``, int64; each row ends with ``EOS_ID``, then ``PAD_ID``; ``(batch, 0)`` if none."""
    target_lengths: Tensor
    """``(batch,)``, ``EOS_ID`` included."""
    ids: list[str]
    """The pairs' line numbers in their corpus."""
    sources: list[str]
    """The source sides as text."""
    targets: list[str]
    """The target sides as text, detokenised: what BLEU is measured against."""


@dataclass
class Memory:
    """An encoded source, as a decoder attends to it."""

    values: Tensor
    """``(batch, time, feature)``, zero after each sentence's end."""
    lengths: Tensor
    """``(batch,)``."""
    final: Tensor | None = None
    """``(layers, batch, size)``: what a recurrent encoder ends with; None where there is no such state."""
    embedded: Tensor | None = None
    """``(batch, time, feature)``: what a convolutional decoder adds to the values it attends to (ConvS2S); or None."""


class Encoder(Part, nn.Module, ABC):
    """Source tokens to a memory."""

    vocab_size: int
    out_features: int
    embedding: Embedding
    """Token embeddings; the task may replace it by the decoder's, so that both are one parameter."""

    @abstractmethod
    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        """Encode ``(batch, time)`` tokens with true ``lengths`` (batch,)."""


class Decoder(Part, nn.Module, ABC):
    """A memory and the tokens so far to scores of the next token."""

    in_features: int
    """The feature size of the memory."""
    vocab_size: int
    embedding: Embedding

    @abstractmethod
    def forward(self, memory: Memory, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Score all next tokens at once, given the true ones (teacher forcing).

        Args:
            memory: of ``batch`` sentences.
            tokens: ``(batch, time)``, the target shifted right: it begins with ``BOS_ID``.
            lengths: ``(batch,)`` real positions of each row.

        Returns:
            logits ``(sum of lengths, vocab_size)``: the real positions only, row after row, so that padding costs
            nothing where the vocabulary is large.
        """

    @abstractmethod
    def start(self, memory: Memory) -> DecodingState:
        """The state before the first token, one row a sentence."""

    @abstractmethod
    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, DecodingState]:
        """Take one more token a row, ``(rows,)``; returns logits ``(rows, vocab_size)`` and the new state."""


class Loss(Part, nn.Module, ABC):
    """Scores and the true next tokens to a number."""

    @abstractmethod
    def forward(self, logits: Tensor, tokens: Tensor, lengths: Tensor) -> LossSum:
        """Compare packed logits ``(sum of lengths, vocab)`` with packed tokens ``(sum of lengths,)``.

        ``lengths`` (batch,) says how many of them each sentence has.
        """
