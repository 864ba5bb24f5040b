"""Batch norm of images with what usually follows it: the addition of a shortcut, and ReLU."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from s2s_core.nn.native import load_library

SOURCE = Path(__file__).with_name("image_norm.cpp")
LANES = 16
"""Channels must be multiples of this for the compiled kernel."""

_POINTERS = (
    *("x", "residual", "y", "weight", "bias", "mean", "variance", "running_mean", "running_variance"),
    *("grad_y", "grad_x", "grad_residual", "grad_weight", "grad_bias"),
)


class _Arguments(ctypes.Structure):
    """``ImageNorm`` in ``image_norm.cpp``."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "channels", "bfloat16", "relu", "threads")),
        *((name, ctypes.c_double) for name in ("eps", "momentum")),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    ]


class ImageNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe and Szegedy 2015), then ``+ residual`` and ReLU where asked for.

    In training on the host, channels-last images go through a kernel compiled for it, which reads and writes memory
    half as often as the three operations one after the other; elsewhere it is those. Statistics, affine and sums are
    float32 whatever the images are.

    Args:
        channels: of the images.
        relu: whether ReLU follows.
    """

    def __init__(self, channels: int, relu: bool = True) -> None:
        super().__init__(channels)
        self.relu = relu

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Normalise ``(batch, channels, height, width)``; ``residual`` has the same shape."""
        if self.training and not torch.compiler.is_compiling() and _suits(self, x, residual):
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            y = _ImageNorm.apply(x, residual, self.weight, self.bias, self)
            assert isinstance(y, Tensor)
            return y
        y = super().forward(x)
        if residual is not None:
            y = y + residual
        return torch.relu(y) if self.relu else y


def _suits(norm: ImageNorm, x: Tensor, residual: Tensor | None) -> bool:
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16):
        return False
    if norm.running_mean is None or not norm.weight.dtype == norm.running_mean.dtype == torch.float32:
        return False
    pixels = x.numel() // x.shape[1]
    dense = x.is_contiguous(memory_format=torch.channels_last) and x.shape[1] % LANES == 0 and pixels > 1
    same = residual is None or (residual.dtype == x.dtype and residual.shape == x.shape)
    return dense and same and load_library(SOURCE) is not None


class _ImageNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor, norm: ImageNorm) -> Tensor:
        shortcut = None if residual is None else residual.contiguous(memory_format=torch.channels_last)
        y, mean, variance = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        tensors = {"residual": shortcut, "y": y, "weight": weight, "bias": bias, "mean": mean, "variance": variance}
        tensors |= {"running_mean": norm.running_mean, "running_variance": norm.running_var}
        _run(norm, x, tensors)
        looked_at = y if norm.relu and residual is not None else None
        ctx.save_for_backward(x, looked_at, weight, bias, mean, variance)
        ctx.norm, ctx.added = norm, residual is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, y, weight, bias, mean, variance = ctx.saved_tensors
        relu = ctx.norm.relu
        grad_y = grads[0].to(x.dtype).contiguous(memory_format=torch.channels_last)
        grad_x, grad_weight, grad_bias = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        # without ReLU the shortcut's gradient is the one that came
        grad_residual = (torch.empty_like(x) if relu else grad_y) if ctx.added else None
        tensors = {"y": y, "weight": weight, "bias": bias, "mean": mean, "variance": variance}
        tensors |= {"grad_y": grad_y, "grad_x": grad_x, "grad_weight": grad_weight, "grad_bias": grad_bias}
        _run(ctx.norm, x, tensors | {"grad_residual": grad_residual if relu else None})
        return grad_x, grad_residual, grad_weight, grad_bias, None


def _run(norm: ImageNorm, x: Tensor, tensors: dict[str, Tensor | None]) -> None:
    library = load_library(SOURCE)
    assert library is not None, "only reached where there is one"
    channels = x.shape[1]
    arguments = _Arguments(
        rows=x.numel() // channels,
        channels=channels,
        bfloat16=int(x.dtype == torch.bfloat16),
        relu=int(norm.relu),
        threads=torch.get_num_threads(),
        eps=norm.eps,
        momentum=norm.momentum,
        x=x.data_ptr(),
        **{name: tensor.data_ptr() for name, tensor in tensors.items() if tensor is not None},
    )
    library.s2s_image_norm(ctypes.byref(arguments))
