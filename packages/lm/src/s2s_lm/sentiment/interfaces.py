"""What flows between the parts of a text classifier, and the parts' abstract classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s2s_core.part import Part


@dataclass
class ClassificationBatch:
    """Texts of one batch, padded to the longest."""

    tokens: Tensor
    """``(batch, time)``, int64: each row begins and ends with an end of line, then goes on with it."""
    lengths: list[int]
    """Tokens of each row, both ends included. On the host, so that a device need not be asked."""
    labels: Tensor
    """``(batch,)``, int64; -1 where it is not known."""
    ids: list[str]
    """The texts' rows in their file."""

    def twice(self) -> ClassificationBatch:
        """Each text two times, the second half like the first."""
        tokens, labels = self.tokens.repeat(2, 1), self.labels.repeat(2)
        return ClassificationBatch(tokens, 2 * self.lengths, labels, 2 * self.ids)


@dataclass
class Encoded:
    """A batch of texts as an encoder leaves them."""

    values: Tensor
    """``(batch, time, feature)``, zero after each text's end."""
    lengths: list[int]
    final: Tensor
    """``(batch, final feature)``: what the encoder ends with."""

    def mask(self) -> Tensor:
        """``(batch, time)``, true where a position is real."""
        position = torch.arange(self.values.size(1), device=self.values.device)
        return position < torch.tensor(self.lengths, device=self.values.device)[:, None]


class TextEncoder(Part, nn.Module, ABC):
    """Tokens to encodings of a text."""

    vocab_size: int
    ngrams: int = 0
    """How many of the tokens, the last, are n-grams of the word before them."""
    out_features: int
    final_features: int

    @abstractmethod
    def forward(self, tokens: Tensor, lengths: list[int]) -> Encoded:
        """Encode ``(batch, time)`` tokens."""

    @abstractmethod
    def groups(self) -> list[list[nn.Parameter]]:
        """The parameters from the embeddings up, a list a layer: the order in which unfreezing ends."""


class TextDecoder(Part, nn.Module, ABC):
    """Encodings to scores of the classes."""

    num_classes: int

    @abstractmethod
    def forward(self, encoded: Encoded) -> Tensor:
        """Logits ``(batch, num_classes)``."""

    @abstractmethod
    def check(self, encoder: TextEncoder) -> None:
        """Raise ValueError unless the sizes are those of the encoder."""
