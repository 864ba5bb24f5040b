"""Convolutions of images for training on the host, where oneDNN's gradients are slower than its matrix products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s_core.nn.linear import cast_for_autocast, product

POINTWISE_PIXELS = 2048
"""Up to so many pixels in a batch's map, 1x1 convolutions are faster as products."""
UNFOLDED_PIXELS = 512
"""Up to so many, the gradient of a larger kernel is faster as a product with the unfolded image."""


class ImageConv(nn.Conv2d):
    """A convolution without bias, padded by half its kernel; on the host the small maps of a deep network are products.

    ResNet's last stages have maps of a few pixels and many channels. There oneDNN's gradients run at a quarter to a
    half of the speed of its products.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel: height and width; odd.
        stride: pixels between outputs.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Convolve ``(batch, channels, height, width)``."""
        if x.device.type != "cpu" or torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return super().forward(x)
        images, weight = cast_for_autocast(x, self.weight)
        assert images is not None
        assert weight is not None
        pixels = x.shape[0] * -(-x.shape[2] // self.stride[0]) * -(-x.shape[3] // self.stride[0])
        if pixels > (POINTWISE_PIXELS if weight.shape[2] == 1 else UNFOLDED_PIXELS):
            return super().forward(x)
        y = _SmallConv.apply(images.contiguous(memory_format=torch.channels_last), weight, self.stride[0])
        assert isinstance(y, Tensor)
        return y


class _SmallConv(torch.autograd.Function):
    """Channels-last images and a weight ``(out, in, kernel, kernel)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        if weight.shape[2] > 1:
            return F.conv2d(x, weight, None, stride, weight.shape[2] // 2)
        pixels = x.permute(0, 2, 3, 1)[:, ::stride, ::stride]
        batch, height, width, channels = pixels.shape
        y = product(pixels.reshape(-1, channels), weight[:, :, 0, 0])
        return y.view(batch, height, width, -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        grad_x = _grad_x(x, weight, grad, ctx.stride) if ctx.needs_input_grad[0] else None
        grad_weight = _grad_weight(x, weight.shape, grad, ctx.stride) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None


def _grad_x(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    kernel = weight.shape[2]
    if kernel > 1:
        reach, steps, wanted = [kernel // 2] * 2, [stride] * 2, [True, False, False]
        return torch.ops.aten.convolution_backward(
            grad, x, weight, None, steps, reach, [1, 1], False, [0, 0], 1, wanted
        )[0]
    pixels = grad.permute(0, 2, 3, 1)
    found = product(pixels.reshape(-1, len(weight)), weight[:, :, 0, 0].T).view(*pixels.shape[:3], -1)
    if stride > 1:
        spread = found.new_zeros(x.shape[0], x.shape[2], x.shape[3], x.shape[1])
        spread[:, ::stride, ::stride] = found
        found = spread
    return found.permute(0, 3, 1, 2)


def _grad_weight(x: Tensor, shape: torch.Size, grad: Tensor, stride: int) -> Tensor:
    channels_out, channels, kernel, _ = shape
    batch, _, height, width = grad.shape
    pixels = x.permute(0, 2, 3, 1)
    if kernel == 1:
        seen = pixels[:, ::stride, ::stride].reshape(-1, channels)
    else:
        reach = kernel // 2
        padded = F.pad(pixels, (0, 0, reach, reach, reach, reach))
        b, h, w, c = padded.stride()
        windows = padded.as_strided(
            (batch, height, width, kernel, kernel, channels), (b, h * stride, w * stride, h, w, c)
        )
        seen = windows.reshape(batch * height * width, -1)
    flat = product(grad.permute(0, 2, 3, 1).reshape(-1, channels_out).T, seen.T)
    return flat.view(channels_out, kernel, kernel, channels).permute(0, 3, 1, 2)
