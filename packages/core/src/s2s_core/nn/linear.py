"""Matrix products for training on the host, where oneDNN's can be faster than the BLAS that torch calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s_core.nn.processor import is_intel

ONEDNN_MIN_ELEMENTS = 1 << 14
"""Below this many elements of the smaller operand the call costs more than the product."""


def cast_for_autocast(*tensors: Tensor | None) -> list[Tensor | None]:
    """Cast float32 tensors to autocast's type where it is on, as torch does on entry to a product or convolution."""
    device = next(t for t in tensors if t is not None).device.type
    if not torch.is_autocast_enabled(device):
        return list(tensors)
    dtype = torch.get_autocast_dtype(device)
    return [t.to(dtype) if t is not None and t.is_floating_point() and t.dtype != torch.float64 else t for t in tensors]


class Linear(nn.Linear):
    """A linear layer over the last axis, with float32 products from oneDNN on the host.

    The weight starts Glorot-uniform, the bias at zero.

    Args:
        in_features: the size of the last axis.
        out_features: its size afterwards.
        bias: whether to add one.
        blocks: how many layers of equal size stand side by side in the weight, each initialised as if alone.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, blocks: int = 1) -> None:
        self.blocks = blocks
        super().__init__(in_features, out_features, bias)

    def reset_parameters(self) -> None:
        for block in self.weight.chunk(self.blocks):
            nn.init.xavier_uniform_(block)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:  # torch's own name for it
        return linear(input, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight.T + bias`` over the last axis of ``(..., in)`` with ``weight`` ``(out, in)``.

    In float32 on the host the three products of a training step go to `product`.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    y = _Linear.apply(x.reshape(-1, x.shape[-1]), weight)
    y = y if bias is None else y + bias
    return y.view(*x.shape[:-1], -1)


def product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b.T`` of matrices on the host, either of them possibly transposed; not differentiable.

    torch's own float32 product is MKL's, which leaves half of the vector width idle on AMD processors: there oneDNN's
    is up to twice as fast. On Intel's the two are equal, but for gradients of weights, where both operands are
    transposed and oneDNN's runs at two thirds of MKL's rate.
    """
    small = min(a.numel(), b.numel()) < ONEDNN_MIN_ELEMENTS
    # oneDNN takes views with gaps, as a strided convolution makes, to a reference kernel some 500 times slower
    dense = all(matrix.is_contiguous() or matrix.T.is_contiguous() for matrix in (a, b))
    if a.dtype != torch.float32 or small or not dense or is_intel() or not torch.backends.mkldnn.is_available():
        return a @ b.T
    return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        grad_x = product(grad, weight.T) if ctx.needs_input_grad[0] else None
        grad_weight = product(grad.T, x.T) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight
