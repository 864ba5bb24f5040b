"""Convolutional networks written as a list of layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from s2s_commands.interfaces import ImageEncoder
from s2s_core.nn.dropout import Dropout


@dataclass
class ConvLayer:
    """A convolution, then batch norm if asked for, ReLU and dropout."""

    channels: int
    kernel: int = 3
    """Height and width, pixels."""
    stride: int = 1
    padding: int | None = None
    """Pixels on every side; None is half the kernel, so that stride 1 keeps the size."""
    norm: bool = False
    """Batch norm between convolution and ReLU; the convolution then has no bias."""
    dropout: float = 0.0
    """Drop probability of whole channels."""


@dataclass
class PoolLayer:
    """The largest or the mean pixel of a window."""

    pool: Literal["max", "average"]
    kernel: int = 2
    """Height and width, pixels."""
    stride: int = 2
    padding: int = 0


@dataclass
class DenseLayer:
    """A fully connected layer, ReLU and dropout."""

    units: int
    dropout: float = 0.0
    """Drop probability of single units."""


class CnnEncoder(ImageEncoder):
    """Convolutions and pooling in the order given, then fully connected layers: OpenSeq2Seq's ``CNNEncoder``.

    The last map is flattened where dense layers follow, and averaged over its pixels where none do. Weights of
    convolutions start as in He et al. 2015 (arXiv 1502.01852, fan-in), biases at zero. Works in channels-last memory.

    Args:
        layers: convolutions and pooling.
        dense: fully connected layers.
        in_channels: of the images.
        image_size: height and width of the images; only dense layers need to know.

    Raises:
        ValueError: if there are no convolutions, a kernel is larger than what it sees, or a number is not positive.
    """

    def __init__(
        self,
        layers: list[ConvLayer | PoolLayer],
        dense: list[DenseLayer] | None = None,
        in_channels: int = 3,
        image_size: int = 32,
    ) -> None:
        super().__init__()
        if not any(isinstance(layer, ConvLayer) for layer in layers):
            raise ValueError("layers: expected at least one convolution")
        self.in_channels = in_channels
        self.convolutions = nn.Sequential()
        channels, size = in_channels, image_size
        for number, layer in enumerate(layers):
            if isinstance(layer, ConvLayer):
                self.convolutions.append(_convolution(channels, layer))
                channels = layer.channels
            else:
                kind = nn.MaxPool2d if layer.pool == "max" else nn.AvgPool2d
                self.convolutions.append(kind(layer.kernel, layer.stride, layer.padding))
            size = (size + 2 * _padding(layer) - layer.kernel) // layer.stride + 1
            if size < 1:
                raise ValueError(f"layers: nothing is left of {image_size} pixels behind layer {number + 1}, {layer}")
        self.dense = nn.Sequential()
        self.out_features = channels
        inputs = channels * size**2
        for layer in dense or []:
            self.dense.append(nn.Sequential(nn.Linear(inputs, layer.units), nn.ReLU(), Dropout(layer.dropout)))
            self.out_features = inputs = layer.units
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @classmethod
    def examples(cls) -> list[CnnEncoder]:
        """Small ones for the contract tests."""
        pools = [PoolLayer("max"), PoolLayer("average", 3, 2, 1)]
        return [
            cls([ConvLayer(4, 5), pools[0], ConvLayer(6, norm=True), pools[1]], image_size=16),
            cls([ConvLayer(4, 3, 2, 0), pools[0]], [DenseLayer(7), DenseLayer(5)], in_channels=1, image_size=16),
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Encode ``(batch, in_channels, height, width)``: ``(batch, out_features)``."""
        x = self.convolutions(images.contiguous(memory_format=torch.channels_last))
        return self.dense(x.flatten(1)) if len(self.dense) else x.mean((2, 3))


def _padding(layer: ConvLayer | PoolLayer) -> int:
    return layer.kernel // 2 if layer.padding is None else layer.padding


def _convolution(in_channels: int, layer: ConvLayer) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, layer.channels, layer.kernel, layer.stride, _padding(layer), bias=not layer.norm)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    found = nn.Sequential(conv)
    if layer.norm:
        found.append(nn.BatchNorm2d(layer.channels))
    found.append(nn.ReLU())
    if layer.dropout:
        found.append(nn.Dropout2d(layer.dropout))
    return found
