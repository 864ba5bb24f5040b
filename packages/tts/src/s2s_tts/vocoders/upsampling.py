"""Conditions of a vocoder, from one a frame to one a sample."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from s2s_core.nn.mask import length_mask
from s2s_core.part import Part


class Upsampling(Part, nn.Module, ABC):
    """Frames, the first centred on the first sample, to conditions of samples."""

    @abstractmethod
    def stride(self, hop_samples: int) -> int:
        """How many samples a condition stands for.

        Raises:
            ValueError: if the frames' spacing does not suit.
        """

    @abstractmethod
    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, time, features)`` to conditions ``(batch, conditions, features)``.

        Condition ``c`` stands for the samples ``n`` with ``c == (n + stride // 2) // stride``; there are enough for the
        ``(time - 1) * hop_samples`` samples between the first and the last frame's centres.
        """


class Repetition(Upsampling):
    """The nearest frame, as OpenSeq2Seq repeated frames (each from its beginning, where ours are centred)."""

    @classmethod
    def examples(cls) -> list[Repetition]:
        """Small ones for the contract tests."""
        return [cls()]

    def stride(self, hop_samples: int) -> int:
        return hop_samples

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        return frames


class TransposedConvolutions(Upsampling):
    """Transposed convolutions one after the other (van den Oord et al. 2016, section 2.5), leaky ReLU between them.

    Args:
        features: in and out.
        strides: whose product is the spacing of frames in samples; kernels are twice as long.
        slope: of the leaky ReLU.

    Raises:
        ValueError: if a stride is odd or below 2.
    """

    def __init__(self, features: int, strides: list[int], slope: float = 0.4) -> None:
        super().__init__()
        if not strides or any(stride < 2 or stride % 2 for stride in strides):
            raise ValueError(f"strides must be even and at least 2, got {strides}")
        self.strides = list(strides)
        self.layers = nn.ModuleList(nn.ConvTranspose1d(features, features, 2 * s, s, s // 2) for s in strides)
        self.slope = slope
        for layer, stride in zip(self.layers, strides, strict=True):
            # begins as linear interpolation of each feature
            ramp = 1 - (torch.arange(2 * stride) + 0.5 - stride).abs() / stride
            with torch.no_grad():
                layer.weight.copy_(torch.eye(features)[..., None] * ramp)  # type: ignore[union-attr]
                layer.bias.zero_()  # type: ignore[union-attr]

    @classmethod
    def examples(cls) -> list[TransposedConvolutions]:
        """Small ones for the contract tests."""
        return [cls(20, [4, 8])]

    def stride(self, hop_samples: int) -> int:
        if math.prod(self.strides) != hop_samples:
            raise ValueError(f"strides {self.strides} make {math.prod(self.strides)} samples, a frame {hop_samples}")
        return 1

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        hop = math.prod(self.strides)
        x, time = frames, lengths
        for i, (layer, stride) in enumerate(zip(self.layers, self.strides, strict=True)):
            # frames beyond the end are not there: alone, a row would have none
            x = x.masked_fill(~length_mask(time, x.size(1))[..., None], 0.0)
            x = layer(x.mT).mT
            time = time * stride
            if i + 1 < len(self.layers):
                x = nn.functional.leaky_relu(x, self.slope)
        # a frame's samples lie around its centre
        return x[:, hop // 2 : hop // 2 + (frames.size(1) - 1) * hop]
