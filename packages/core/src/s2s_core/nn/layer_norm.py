"""Layer normalisation in float32 that keeps half a type's worth for the backward pass of a half-precision model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

HALVES = (torch.float16, torch.bfloat16)
KEPT_AS_GIVEN = ("cpu",)
"""Devices on which the input is kept as it is: on the host the memory costs less than the rounding."""


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last axis (Ba et al. 2016, arXiv 1607.06450).

    The values are those of `torch.nn.functional.layer_norm`, which computes and returns float32 under autocast on an
    accelerator. For the backward pass torch keeps the input in float32 there, where the products around it keep theirs
    in half precision. So is it here: a half-precision input as it is, which loses nothing, and a float32 one normalised
    and then rounded, so that its size cannot overflow and its mean takes no digits.
    """
    device = x.device.type
    in_half = torch.is_autocast_enabled(device) and x.dtype in (*HALVES, torch.float32)
    if not in_half or device in KEPT_AS_GIVEN or not x.requires_grad or torch.compiler.is_compiling():
        return F.layer_norm(x, weight.shape, weight, bias, eps)
    y = _LayerNorm.apply(x, weight, bias, eps, torch.get_autocast_dtype(device))
    assert isinstance(y, Tensor)
    return y


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, half: torch.dtype) -> Tensor:
        wide, weight, bias = x.float(), weight.float(), bias.float()
        y, mean, inverse_std = torch.native_layer_norm(wide, weight.shape, weight, bias, eps)
        if x.dtype in HALVES:
            kept = x
        else:
            kept = torch.empty_like(wide, dtype=half)
            torch.addcmul(mean * -inverse_std, wide, inverse_std, out=kept)
        ctx.save_for_backward(kept, mean, inverse_std, weight, bias)
        ctx.normalised = kept is not x
        return y

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        kept, mean, inverse_std, weight, bias = ctx.saved_tensors
        if ctx.normalised:
            wide, mean = kept / inverse_std, torch.zeros_like(mean)
        else:
            wide = kept.float()
        wanted = list(ctx.needs_input_grad[:3])
        found = torch.ops.aten.native_layer_norm_backward(
            grads[0].float(), wide, weight.shape, mean, inverse_std, weight, bias, wanted
        )
        return *found, None, None
