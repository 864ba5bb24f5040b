"""Convolutions over a whole predicted spectrogram: what polishes it, and what makes a linear one of it."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from s2s_core.nn.conv import Conv
from s2s_core.nn.dropout import dropout
from s2s_core.nn.frames import FrameLayout
from s2s_core.nn.linear import Linear
from s2s_core.nn.norm import BatchNorm


class Postnet(nn.Module):
    """Convolutions with batch norm and tanh, the last one linear, whose output is added to the mel spectrogram.

    Shen et al. 2018, section 2.2. Works on frames of a `FrameLayout`, so padding reaches nothing.

    Args:
        num_mels: the size of a frame.
        channels: of the layers between.
        kernel: taps of each convolution.
        layers: how many.
        dropout: drop probability after each layer.
    """

    def __init__(
        self, num_mels: int, channels: int = 512, kernel: int = 5, layers: int = 5, dropout: float = 0.5
    ) -> None:
        super().__init__()
        sizes = [num_mels, *[channels] * (layers - 1), num_mels]
        pairs = list(itertools.pairwise(sizes))
        self.convolutions = nn.ModuleList(Conv(a, b, kernel) for a, b in pairs)
        self.norms = nn.ModuleList(BatchNorm(size) for _, size in pairs)
        self.dropout = dropout

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """Correct frames ``(rows, time, num_mels)`` of ``layout``."""
        change = x
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            change = norm(convolution(change, layout), layout)
            if number < len(self.norms) - 1:
                change = torch.tanh(change)
            change = layout.clean(dropout(change, self.dropout, self.training))
        return x + change


class MagnitudeNet(nn.Module):
    """Two convolutions and a linear layer from the mel to the linear log spectrum, as OpenSeq2Seq's output 'both'.

    Its kernels had 4 taps, which centre on no frame; these have 5. It predicted magnitudes, these are logarithms.

    Args:
        num_mels: the size of a mel frame.
        bins: the size of a linear frame.
        channels: of the two convolutions.
    """

    def __init__(self, num_mels: int, bins: int, channels: tuple[int, int] = (256, 512)) -> None:
        super().__init__()
        sizes = (num_mels, *channels)
        self.convolutions = nn.ModuleList(Conv(a, b, 5) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(BatchNorm(size) for size in channels)
        self.projection = Linear(channels[-1], bins)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """Frames ``(rows, time, num_mels)`` of ``layout`` to ``(rows, time, bins)``."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = layout.clean(torch.relu(norm(convolution(x, layout), layout)))
        return self.projection(x)
