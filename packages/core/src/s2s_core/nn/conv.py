"""Convolutions along time on ``(batch, time, channels)``, 'same' padded, that keep sequences apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn import conv_cpu
from s2s_core.nn.frames import FrameLayout
from s2s_core.nn.linear import cast_for_autocast, linear


class Conv(nn.Module):
    """A convolution along time with symmetric 'same' padding: ``ceil(length / stride)`` frames out.

    The weight is ``(out_channels, kernel, in_channels)``, the order in which frames meet it in memory. It starts
    Glorot-normal, the bias at zero. TensorFlow's SAME padding is asymmetric where stride > 1 (fewer zeros
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
        self.weight = nn.Parameter(torch.empty(out_channels, kernel, in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.xavier_normal_(self.weight.transpose(1, 2))

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """Convolve clean frames of ``layout``; the result lies in ``layout.strided(stride)``."""
        return layout.convolve(x, self._kernel, self.reach, self.stride)

    def _kernel(self, x: Tensor) -> Tensor:
        if self.weight.shape[1] == 1:
            return linear(x[:, :: self.stride], self.weight[:, 0], self.bias)
        frames, weight, bias = cast_for_autocast(x, self.weight, self.bias)
        assert frames is not None
        assert weight is not None
        if x.device.type == "cpu" and not torch.compiler.is_compiling() and len(x) == 1:
            y = conv_cpu.DenseConv.apply(frames, weight, self.stride, self.dilation)
            return y if bias is None else y + bias
        kernel = weight.transpose(1, 2)
        return F.conv1d(frames.mT, kernel, bias, self.stride, self.reach, self.dilation).mT


class DepthwiseConv(nn.Module):
    """A convolution along time of each channel with a kernel of its own, padded as `Conv`, without bias.

    The weight is ``(channels, kernel)``. It starts normal with variance ``1 / kernel``, which keeps the variance of the
    signal. (Glorot's formula with all channels counted as inputs, as in TensorFlow, shrinks it by the number of
    channels, below the epsilon of the batch norm that follows.)

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
        self.weight = nn.Parameter(torch.empty(channels, kernel))
        nn.init.normal_(self.weight, std=kernel**-0.5)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """Convolve clean frames of ``layout``; the result lies in ``layout.strided(stride)``."""
        return layout.convolve(x, self._kernel, self.reach, self.stride)

    def _kernel(self, x: Tensor) -> Tensor:
        frames, weight = cast_for_autocast(x, self.weight)
        assert frames is not None
        assert weight is not None
        if x.device.type == "cpu":
            return self._on_host(frames, weight)
        kernel = weight[:, None]
        return F.conv1d(frames.mT, kernel, None, self.stride, self.reach, self.dilation, len(weight)).mT

    def _on_host(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.dilation == 1:
            return conv_cpu.DepthwiseConv.apply(x, weight)[:, :: self.stride]
        # oneDNN has no fast dilated depthwise kernel; frames a dilation apart are rows of their own
        rows, time, channels = x.shape
        spread = F.pad(x, (0, 0, 0, -time % self.dilation)).view(rows, -1, self.dilation, channels).transpose(1, 2)
        y = conv_cpu.DepthwiseConv.apply(spread.reshape(rows * self.dilation, -1, channels), weight)
        y = y.reshape(rows, self.dilation, -1, channels).transpose(1, 2).reshape(rows, -1, channels)
        return y[:, : time : self.stride]


def _check(kernel: int, **positive: int) -> None:
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be odd and positive, got {kernel}")
    for name, value in positive.items():
        if value < 1:
            raise ValueError(f"{name} must be positive, got {value}")
