"""How the frames of a batch of sequences lie in memory: packed without padding, or padded and masked.

A model of convolutions written against `FrameLayout` gives the same result in both layouts, and never lets one
sequence, or its padding, reach another. Tensors inside a layout are ``(rows, time, channels)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.ceiling import ceil_div
from s2s_core.nn.mask import length_mask


class FrameLayout(ABC):
    """The place of each sequence's frames."""

    mask: Tensor | None = None
    """``(rows, time, 1)`` bool, true where a frame is real; None where all are."""

    @abstractmethod
    def enter(self, padded: Tensor) -> Tensor:
        """Bring ``(batch, time, channels)`` into this layout."""

    @abstractmethod
    def leave(self, x: Tensor) -> Tensor:
        """The inverse of `enter`: ``(batch, time, channels)``, zero after each sequence's end."""

    @abstractmethod
    def clean(self, x: Tensor) -> Tensor:
        """Zero what is not a real frame."""

    @abstractmethod
    def real_frames(self, device: torch.device) -> Tensor:
        """``(batch, time, 1)`` bool of what `leave` returns, true where a frame is real."""

    @abstractmethod
    def strided(self, stride: int) -> FrameLayout:
        """The layout after a convolution of this stride: ``ceil(length / stride)`` frames a sequence."""

    @abstractmethod
    def convolve(self, x: Tensor, kernel: Callable[[Tensor], Tensor], reach: int, stride: int = 1) -> Tensor:
        """Slide ``kernel`` along each sequence as if zeros lay before and after it.

        Args:
            x: frames in this layout, clean.
            kernel: a convolution of ``(rows, time, channels)`` that pads ``reach`` zeros on both sides itself.
            reach: how many frames to each side of its centre it sees.
            stride: its stride.

        Returns:
            frames in ``strided(stride)``; in a padded layout what is not a real frame is undefined.
        """


class PaddedFrames(FrameLayout):
    """One row a sequence, padded to a common length. Needs no lengths on the host: the layout for accelerators."""

    def __init__(self, lengths: Tensor, time: int) -> None:
        self.lengths = lengths
        self.time = time
        self._real = length_mask(lengths, time)[..., None]
        self.mask = self._real

    def enter(self, padded: Tensor) -> Tensor:
        return self.clean(padded)

    def leave(self, x: Tensor) -> Tensor:
        return self.clean(x)

    def clean(self, x: Tensor) -> Tensor:
        return x.masked_fill(~self._real, 0.0)

    def real_frames(self, device: torch.device) -> Tensor:
        return self._real

    def strided(self, stride: int) -> PaddedFrames:
        return self if stride == 1 else PaddedFrames(ceil_div(self.lengths, stride), ceil_div(self.time, stride))

    def convolve(self, x: Tensor, kernel: Callable[[Tensor], Tensor], reach: int, stride: int = 1) -> Tensor:
        return kernel(x)


class PackedFrames(FrameLayout):
    """All sequences end to end in one row: padding is neither stored nor computed.

    Only while a convolution runs are neighbours kept apart, by as many zeros as the kernel reaches.
    """

    def __init__(self, lengths: list[int], time: int) -> None:
        self.lengths = lengths
        self.time = time

    def enter(self, padded: Tensor) -> Tensor:
        return torch.cat([row[:length] for row, length in zip(padded, self.lengths, strict=True)])[None]

    def leave(self, x: Tensor) -> Tensor:
        rows = x[0].split(self.lengths)
        return torch.stack([F.pad(row, (0, 0, 0, self.time - len(row))) for row in rows])

    def clean(self, x: Tensor) -> Tensor:
        return x

    def real_frames(self, device: torch.device) -> Tensor:
        return length_mask(torch.tensor(self.lengths, device=device), self.time)[..., None]

    def strided(self, stride: int) -> PackedFrames:
        if stride == 1:
            return self
        return PackedFrames([ceil_div(length, stride) for length in self.lengths], ceil_div(self.time, stride))

    def convolve(self, x: Tensor, kernel: Callable[[Tensor], Tensor], reach: int, stride: int = 1) -> Tensor:
        if len(self.lengths) == 1 or (reach == 0 and stride == 1):
            return kernel(x)
        # every sequence starts at a multiple of the stride, so that its first output is centred on its first frame
        gaps = [reach + (-length - reach) % stride for length in self.lengths[:-1]] + [0]
        zeros = [x.new_zeros(1, gap, x.shape[2]) for gap in gaps]
        spread = torch.cat(list(chain(*zip(x.split(self.lengths, dim=1), zeros, strict=True))), dim=1)
        y = kernel(spread)
        kept = [ceil_div(length, stride) for length in self.lengths]
        dropped = [(length + gap) // stride - k for length, gap, k in zip(self.lengths, gaps, kept, strict=True)]
        dropped[-1] = 0
        return torch.cat(y.split(list(chain(*zip(kept, dropped, strict=True))), dim=1)[::2], dim=1)


def frame_layout(lengths: Tensor, time: int) -> FrameLayout:
    """Choose a layout for a batch of ``(batch, time, ...)``: packed where the lengths are on the host already."""
    if lengths.device.type == "cpu" and not torch.compiler.is_compiling():
        return PackedFrames(lengths.tolist(), time)
    return PaddedFrames(lengths, time)
