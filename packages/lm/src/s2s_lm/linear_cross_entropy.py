"""Softmax cross entropy of a linear layer, without ever holding the logits of all positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s_core.nn.linear import product

HOST_CHUNK = 1 << 24
DEVICE_CHUNK = 1 << 27
"""Logits that are held at a time."""
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
    for rows in _chunks(len(encodings), weight):
        scores = F.log_softmax(F.linear(encodings[rows], weight.to(encodings.dtype), _as(bias, encodings)).float(), 1)
        parts.append(_picked(scores, targets[rows]))
    return torch.cat(parts) if parts else encodings.new_zeros(0, dtype=torch.float32)


def _picked(log_probs: Tensor, targets: Tensor) -> Tensor:
    valid = targets >= 0
    return -log_probs.gather(1, targets.clamp(min=0)[:, None]).squeeze(1).masked_fill(~valid, 0.0)


def _as(bias: Tensor | None, like: Tensor) -> Tensor | None:
    return None if bias is None else bias.to(like.dtype)


def _chunks(count: int, weight: Tensor) -> Iterator[slice]:
    step = max(1, (DEVICE_CHUNK if weight.is_cuda else HOST_CHUNK) // len(weight))
    return (slice(start, start + step) for start in range(0, count, step))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, encodings: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, grad: bool
    ) -> Tensor:
        work = weight.to(encodings.dtype)
        total = torch.zeros((), device=encodings.device, dtype=torch.promote_types(encodings.dtype, torch.float32))
        grad_encodings = torch.empty_like(encodings) if grad else None
        grad_weight = torch.zeros_like(weight) if grad else None
        grad_bias = torch.zeros_like(bias) if grad and bias is not None else None
        scale = HALF_SCALE if encodings.dtype == torch.float16 else 1.0
        for rows in _chunks(len(encodings), weight):
            chunk, wanted = encodings[rows], targets[rows]
            logits = _product(chunk, work)
            logits = logits.to(total.dtype) if bias is None else logits.add(bias).to(total.dtype)
            scores = torch.log_softmax(logits, 1)
            total += _picked(scores, wanted).sum()
            if grad_encodings is None or grad_weight is None:
                continue
            errors = scores.exp_()
            valid = (wanted >= 0).to(errors.dtype)
            errors.scatter_add_(1, wanted.clamp(min=0)[:, None], -valid[:, None])
            if (wanted < 0).any():
                errors *= valid[:, None]
            if grad_bias is not None:
                grad_bias += errors.sum(0)
            errors = errors.mul_(scale).to(chunk.dtype) if scale != 1.0 else errors.to(chunk.dtype)
            grad_encodings[rows] = _product(errors, work.T).div_(scale) if scale != 1.0 else _product(errors, work.T)
            grad_weight.add_(_product(errors.T, chunk.T), alpha=1.0 / scale)
        ctx.save_for_backward(grad_encodings, grad_weight, grad_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        parts = [None if part is None else part.mul_(grads[0].to(part.dtype)) for part in ctx.saved_tensors]
        return (*parts, None, None)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b.T``."""
    return product(a, b) if a.device.type == "cpu" else a @ b.T
