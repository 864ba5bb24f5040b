"""Convolutions of images for training on the host, where oneDNN's gradients are slower than its matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s_core.nn.linear import cast_for_autocast, product
from s2s_core.nn.processor import is_intel

ALWAYS = 1 << 62


@dataclass(frozen=True)
class Limits:
    """Up to how many pixels of a batch's output a convolution is faster as a matrix product."""

    forward: int
    """A 1x1 convolution."""
    image: int
    """The gradient of its image."""
    strided_image: int
    """The same, where it skips pixels."""
    weight: int
    """The gradient of its weight."""
    unfolded: int
    """The gradient of a larger kernel's weight, as a product with the unfolded image."""


AMD = Limits(forward=2048, image=2048, strided_image=2048, weight=2048, unfolded=512)
INTEL = Limits(forward=1024, image=1024, strided_image=ALWAYS, weight=ALWAYS, unfolded=1024)
INTEL_HALF = Limits(forward=512, image=512, strided_image=ALWAYS, weight=ALWAYS, unfolded=1024)
"""Measured with two cores, AMD's on Zen 4 and Intel's on a Xeon with AMX, over the shapes of ResNet-50."""


def limits(dtype: torch.dtype) -> Limits:
    """Those of this machine."""
    if not is_intel():
        return AMD
    return INTEL_HALF if dtype == torch.bfloat16 else INTEL


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
        y = _ImageConv.apply(images.contiguous(memory_format=torch.channels_last), weight, self.stride[0])
        assert isinstance(y, Tensor)
        return y


class _ImageConv(torch.autograd.Function):
    """Channels-last images and a weight ``(out, in, kernel, kernel)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        outputs = x.shape[0] * -(-x.shape[2] // stride) * -(-x.shape[3] // stride)
        if weight.shape[2] > 1 or outputs > limits(x.dtype).forward:
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
        grad_weight = _grad_weight(x, weight, grad, ctx.stride) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None


def _pixels(image: Tensor) -> int:
    return image.shape[0] * image.shape[2] * image.shape[3]


def _library_gradients(x: Tensor, weight: Tensor, grad: Tensor, stride: int, of_weight: bool = False) -> list[Tensor]:
    reach, steps, wanted = [weight.shape[2] // 2] * 2, [stride] * 2, [not of_weight, of_weight, False]
    return torch.ops.aten.convolution_backward(grad, x, weight, None, steps, reach, [1, 1], False, [0, 0], 1, wanted)


def _grad_x(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    small = limits(x.dtype)
    if weight.shape[2] > 1 or _pixels(grad) > (small.image if stride == 1 else small.strided_image):
        return _library_gradients(x, weight, grad, stride)[0]
    pixels = grad.permute(0, 2, 3, 1)
    found = product(pixels.reshape(-1, len(weight)), weight[:, :, 0, 0].T).view(*pixels.shape[:3], -1)
    if stride > 1:
        spread = found.new_zeros(x.shape[0], x.shape[2], x.shape[3], x.shape[1])
        spread[:, ::stride, ::stride] = found
        found = spread
    return found.permute(0, 3, 1, 2)


def _grad_weight(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    channels_out, channels, kernel, _ = weight.shape
    small = limits(x.dtype)
    if _pixels(grad) > (small.weight if kernel == 1 else small.unfolded):
        return _library_gradients(x, weight, grad, stride, of_weight=True)[1]
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
