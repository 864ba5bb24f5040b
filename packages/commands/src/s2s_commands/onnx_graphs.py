"""The classifiers as ONNX graphs: tensors in, probabilities out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2s_commands.interfaces import Decoder, ImageEncoder, SoundEncoder
from s2s_core.export import OnnxGraph


class _Images(nn.Module):
    def __init__(self, encoder: ImageEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images)).float().softmax(dim=1)


class _Sounds(nn.Module):
    def __init__(self, encoder: SoundEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        return self.decoder(self.encoder(features, lengths)).float().softmax(dim=1)


def image_graph(encoder: ImageEncoder, decoder: Decoder, size: int, notes: dict[str, object]) -> OnnxGraph:
    """Normalised ``images (batch, channels, size, size)`` to ``probabilities (batch, classes)``."""
    images = torch.zeros(2, encoder.in_channels, size, size)
    return OnnxGraph(_Images(encoder, decoder), {"images": images}, ["probabilities"], {"images": {0: "batch"}}, notes)


def sound_graph(encoder: SoundEncoder, decoder: Decoder, frames: int, notes: dict[str, object]) -> OnnxGraph:
    """``features (batch, frames, in_features)`` and their true ``lengths (batch,)`` to ``probabilities``.

    The features are not part of the graph: few runtimes have a Fourier transform for them.
    """
    features = torch.zeros(2, frames, encoder.in_features)
    inputs = {"features": features, "lengths": torch.tensor([frames, frames - 1])}
    axes = {"features": {0: "batch"}, "lengths": {0: "batch"}}
    return OnnxGraph(_Sounds(encoder, decoder), inputs, ["probabilities"], axes, notes)
