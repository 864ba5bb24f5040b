"""Softmax cross entropy of a linear layer, without ever holding the logits of all positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s_core.nn.linear import product

HOST_CHUNK = 1 << 26
DEVICE_CHUNK = 1 << 28
"""Bytes of logits that are held at a time, give or take a copy."""
HALF_SCALE = 256.0
"""Float16 gradients are computed this much larger: a rare word's probability is below float16's smallest number."""


def linear_cross_entropy(encodings: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Sum of the negative log-probabilities of ``targets`` under ``softmax(encodings @ weight.T + bias)``, float32.

    The gradients are computed along with the value, chunk by chunk, while the probabilities are at hand: three matrix
    products as ever, but no further passes over count x vocabulary numbers, nor memory for them.

    Args:
        encodings: ``(count, features)``.
        weight: ``(vocab, features)``.
        bias: ``(vocab,)`` or None.
        targets: ``(count,)``; a negative one counts for nothing.
    """
    device = encodings.device.type
    if torch.is_autocast_enabled(device):
        encodings = encodings.to(torch.get_autocast_dtype(device))
    total = _LinearCrossEntropy.apply(encodings, weight, bias, targets, torch.is_grad_enabled())
    assert isinstance(total, Tensor)
    return total


def linear_nll(encodings: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """What `linear_cross_entropy` sums, ``(count,)``; in memory for a chunk of logits where no gradient is wanted."""
    parts = []
    for rows in _chunks(encodings, weight):
        scores = F.log_softmax(F.linear(encodings[rows], weight.to(encodings.dtype), _as(bias, encodings)).float(), 1)
        parts.append(_picked(scores, targets[rows]))
    return torch.cat(parts) if parts else encodings.new_zeros(0, dtype=torch.float32)


def _picked(log_probs: Tensor, targets: Tensor) -> Tensor:
    valid = targets >= 0
    return -log_probs.gather(1, targets.clamp(min=0)[:, None]).squeeze(1).masked_fill(~valid, 0.0)


def _as(bias: Tensor | None, like: Tensor) -> Tensor | None:
    return None if bias is None else bias.to(like.dtype)


def _chunks(encodings: Tensor, weight: Tensor) -> Iterator[slice]:
    row_bytes = len(weight) * encodings.element_size()
    step = max(1, (DEVICE_CHUNK if weight.is_cuda else HOST_CHUNK) // row_bytes)
    return (slice(start, start + step) for start in range(0, len(encodings), step))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, encodings: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, grad: bool
    ) -> Tensor:
        work = weight.to(encodings.dtype)
        total = torch.zeros((), device=encodings.device, dtype=torch.promote_types(encodings.dtype, torch.float32))
        # wide: gradients of rare words would be lost in float16 before the loss scale multiplies them
        grad_encodings = torch.empty_like(encodings, dtype=total.dtype) if grad else None
        grad_weight: Tensor | None = None
        grad_bias = torch.zeros_like(bias, dtype=total.dtype) if grad and bias is not None else None
        scale = HALF_SCALE if encodings.dtype == torch.float16 else 1.0
        for rows in _chunks(encodings, weight):
            chunk, wanted = encodings[rows], targets[rows]
            valid, place = (wanted >= 0).to(total.dtype), wanted.clamp(min=0)[:, None]
            losses, errors = _softmax(_product(chunk, work), bias, place)
            total += losses @ valid
            if grad_encodings is None:
                continue
            # what is ignored is masked in the small operands, not in the errors
            errors[torch.arange(len(errors), device=errors.device), place.squeeze(1)] -= 1
            if grad_bias is not None:
                grad_bias += valid.to(errors.dtype) @ errors
            errors = errors.mul_(scale).to(chunk.dtype) if scale != 1.0 else errors.to(chunk.dtype)
            grad_encodings[rows] = _product(errors, work.T) * (valid / scale)[:, None]
            part = _product(errors.T, (chunk * valid[:, None].to(chunk.dtype)).T)
            if grad_weight is None:
                grad_weight = part.to(total.dtype) if scale == 1.0 else part.to(total.dtype).div_(scale)
            else:
                grad_weight.add_(part, alpha=1.0 / scale)
        if grad and grad_weight is None:
            grad_weight = torch.zeros_like(weight, dtype=total.dtype)
        ctx.save_for_backward(grad_encodings, grad_weight, grad_bias)
        ctx.dtypes = (encodings.dtype, weight.dtype, None if bias is None else bias.dtype)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        parts = [None if part is None else (part * grads[0]).to(dtype) for part, dtype in saved]
        return (*parts, None, None)


def _softmax(logits: Tensor, bias: Tensor | None, place: Tensor) -> tuple[Tensor, Tensor]:
    """Negative log-probabilities ``(rows,)`` at ``place`` (rows, 1), and the probabilities of all.

    Bfloat16 logits give bfloat16 probabilities, summed in float32 inside the kernel: a fifth of the memory traffic,
    which is what counts here. The products that follow round to bfloat16 anyway.
    """
    if logits.dtype == torch.bfloat16:
        shares = torch.softmax(logits if bias is None else logits.add_(bias.to(logits.dtype)), 1)
        return -shares.gather(1, place).squeeze(1).float().clamp(min=torch.finfo(torch.float32).tiny).log(), shares
    wide = torch.promote_types(logits.dtype, torch.float32)
    scores = torch.log_softmax((logits if bias is None else logits + bias).to(wide), 1)
    return -scores.gather(1, place).squeeze(1), scores.exp_()


def _product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b.T``."""
    return product(a, b) if a.device.type == "cpu" else a @ b.T
