"""Gradients of convolutions along one row of frames, for the host.

torch's own take most of a training step there: oneDNN's weight gradients of channels-last convolutions run at a third
of its matrix products, and those of depthwise convolutions hundreds of times slower than the forward. Both are
rewritten as what oneDNN does well. Frames are ``(rows, time, channels)``, that is images of one line in channels-last
memory; nothing is copied to get there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s_core.nn.linear import product

CHUNK = 512
"""Frames over which one call sums a depthwise weight gradient; longer ones fall out of the cache."""
NARROW = 32
"""Up to so many channels oneDNN's half-precision depthwise kernels take minutes where they have 17 taps or more.

16 channels do whenever, 32 where several threads share an odd number of rows.
"""


def image(x: Tensor) -> Tensor:
    """View ``(rows, time, channels)`` as ``(rows, channels, 1, time)`` in channels-last memory."""
    rows, time, channels = x.shape
    # spelt out, because the strides of axes of size 1 decide whether oneDNN recognises the format: 40 times
    return x.contiguous().as_strided((rows, channels, 1, time), (time * channels, 1, time * channels, channels))


def frames(x: Tensor) -> Tensor:
    """The inverse of `image`."""
    return x[:, :, 0].transpose(1, 2)


class DenseConv(torch.autograd.Function):
    """Frames ``(1, time, in)`` with weight ``(out, kernel, in)``, padded by the kernel's reach on both sides.

    The gradient of the weight is one matrix product a tap.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        reach = weight.shape[1] // 2 * dilation
        return frames(F.conv2d(image(x), image(weight), None, (1, stride), (0, reach), (1, dilation)))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_x = _dense_grad_x(x, weight, grad, ctx.stride, ctx.dilation) if ctx.needs_input_grad[0] else None
        grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = _dense_grad_weight(x[0], weight.shape, grad[0], ctx.stride, ctx.dilation)
        return grad_x, grad_weight, None, None


def _dense_grad_x(x: Tensor, weight: Tensor, grad: Tensor, stride: int, dilation: int) -> Tensor:
    padding = [0, weight.shape[1] // 2 * dilation]
    wanted = [True, False, False]
    grads = torch.ops.aten.convolution_backward(
        image(grad), image(x), image(weight), None, [1, stride], padding, [1, dilation], False, [0, 0], 1, wanted
    )
    return frames(grads[0])


def _dense_grad_weight(x: Tensor, shape: torch.Size, grad: Tensor, stride: int, dilation: int) -> Tensor:
    """Products of ``x`` (time, in) and ``grad`` (time', out), shifted by each tap."""
    taps = shape[1]
    reach = taps // 2 * dilation
    # padded, so that all products have one shape: oneDNN compiles a kernel for each
    padded = F.pad(x, (0, 0, reach, reach))
    span = (len(grad) - 1) * stride + 1
    out = grad.new_empty(shape)
    for tap in range(taps):
        seen = padded[tap * dilation : tap * dilation + span : stride]
        out[:, tap] = product(grad.T, seen.T)
    return out


class DepthwiseConv(torch.autograd.Function):
    """Frames ``(rows, time, channels)`` with weight ``(channels, kernel)``, padded by half a kernel on both sides.

    The gradient of the input is the forward with the kernel reversed. That of the weight is the forward again, with
    the input as image, the output's gradient as a long kernel, and as many outputs as there are taps.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _depthwise(x, weight)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_x = _depthwise(grad, weight.flip(1)) if ctx.needs_input_grad[0] else None
        grad_weight = _depthwise_grad_weight(x, weight.shape[1], grad) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight


def _depthwise(x: Tensor, weight: Tensor) -> Tensor:
    channels, taps = weight.shape
    if x.dtype in (torch.bfloat16, torch.float16) and channels <= NARROW:
        with torch.autocast("cpu", enabled=False):  # it would cast them back
            return _depthwise(x.float(), weight.float()).to(x.dtype)
    return frames(F.conv2d(image(x), weight[:, None, None], padding=(0, taps // 2), groups=channels))


def _depthwise_grad_weight(x: Tensor, taps: int, grad: Tensor) -> Tensor:
    channels, reach = x.shape[2], taps // 2
    padded = image(F.pad(x, (0, 0, reach, reach)))
    kernel = image(grad).transpose(0, 1)  # (channels, rows, 1, time)
    total = torch.zeros(channels, taps, dtype=torch.promote_types(x.dtype, torch.float32))
    for row in range(x.shape[0]):
        for start in range(0, x.shape[1], CHUNK):
            end = min(start + CHUNK, x.shape[1])
            part = padded[row : row + 1, :, :, start : end + 2 * reach]
            total += F.conv2d(part, kernel[:, row : row + 1, :, start:end], groups=channels)[0, :, 0]
    return total.to(x.dtype)
