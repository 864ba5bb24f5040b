"""Convolutions along time on ``(batch, time, channels)``, 'same' padded, that keep sequences apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.frames import FrameLayout


class Conv(nn.Module):
    """A convolution along time with symmetric 'same' padding: ``ceil(length / stride)`` frames out.

    Weights start Glorot-normal, the bias at zero. TensorFlow's SAME padding is asymmetric where stride > 1 (fewer zeros
    before than after); this one is centred for every stride.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel: taps; odd.
        stride: frames between outputs.
        dilation: frames between taps.
        bias: whether to add one.

    Raises:
        ValueError: if the kernel is even or a number is not positive.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, dilation: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        _check(kernel=kernel, stride=stride, dilation=dilation, in_channels=in_channels, out_channels=out_channels)
        self.stride = stride
        self.dilation = dilation
        self.reach = kernel // 2 * dilation
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.xavier_normal_(self.weight)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """Convolve clean frames of ``layout``; the result lies in ``layout.strided(stride)``."""
        return layout.convolve(x, self._kernel, self.reach, self.stride)

    def _kernel(self, x: Tensor) -> Tensor:
        if self.weight.shape[2] == 1:
            return F.linear(x[:, :: self.stride], self.weight[:, :, 0], self.bias)
        y = F.conv1d(x.transpose(1, 2), self.weight, self.bias, self.stride, self.reach, self.dilation)
        return y.transpose(1, 2)


class DepthwiseConv(nn.Module):
    """A convolution along time of each channel with a kernel of its own, padded as `Conv`, without bias.

    Weights start normal with variance ``1 / kernel``, which keeps the variance of the signal. (Glorot's formula with
    all channels counted as inputs, as in TensorFlow, shrinks it by the number of channels, below the epsilon of the
    batch norm that follows.)

    Args:
        channels: channels in and out.
        kernel: taps; odd.
        stride: frames between outputs.
        dilation: frames between taps.

    Raises:
        ValueError: if the kernel is even or a number is not positive.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        _check(kernel=kernel, stride=stride, dilation=dilation, channels=channels)
        self.stride = stride
        self.dilation = dilation
        self.reach = kernel // 2 * dilation
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel))
        nn.init.normal_(self.weight, std=kernel**-0.5)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """Convolve clean frames of ``layout``; the result lies in ``layout.strided(stride)``."""
        return layout.convolve(x, self._kernel, self.reach, self.stride)

    def _kernel(self, x: Tensor) -> Tensor:
        channels = self.weight.shape[0]
        y = F.conv1d(x.transpose(1, 2), self.weight, None, self.stride, self.reach, self.dilation, channels)
        return y.transpose(1, 2)


def _check(kernel: int, **positive: int) -> None:
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be odd and positive, got {kernel}")
    for name, value in positive.items():
        if value < 1:
            raise ValueError(f"{name} must be positive, got {value}")
