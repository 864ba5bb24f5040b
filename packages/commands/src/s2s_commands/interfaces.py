"""What flows between the parts of a classifier of sounds or images, and the parts' abstract classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from s2s_core.losses.reduction import LossSum
from s2s_core.part import Part


@dataclass
class SoundBatch:
    """Clips of one batch, padded to the longest."""

    audio: Tensor
    """``(batch, samples)``, float32 in [-1, 1], zeros after each clip's end."""
    audio_lengths: Tensor
    """``(batch,)``, samples."""
    labels: Tensor
    """``(batch,)``, int64 class numbers; -1 where there is no label."""
    ids: list[str]
    """The clips' names in their manifest."""


@dataclass
class ImageBatch:
    """Images of one batch, of one size."""

    images: Tensor
    """``(batch, channels, height, width)``, float32, normalised."""
    labels: Tensor
    """``(batch,)``, int64 class numbers; -1 where there is no label."""
    ids: list[str]
    """The images' paths, relative to their folder."""


class SoundEncoder(Part, nn.Module, ABC):
    """A clip's features to one vector."""

    in_features: int
    out_features: int

    @abstractmethod
    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Encode ``(batch, time, in_features)`` with true ``lengths`` (batch,): ``(batch, out_features)``."""


class ImageEncoder(Part, nn.Module, ABC):
    """An image to one vector."""

    in_channels: int
    out_features: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Encode ``(batch, in_channels, height, width)``: ``(batch, out_features)``."""


class Decoder(Part, nn.Module, ABC):
    """A vector to scores of the classes."""

    in_features: int
    num_classes: int

    @abstractmethod
    def forward(self, encodings: Tensor) -> Tensor:
        """Score ``(batch, in_features)``: logits ``(batch, num_classes)``."""


class Loss(Part, nn.Module, ABC):
    """Scores and true classes to a number."""

    @abstractmethod
    def forward(self, logits: Tensor, targets: Tensor) -> LossSum:
        """Compare logits ``(batch, classes)`` with target distributions ``(batch, classes)``, rows that sum to 1."""
