"""Cross entropy over large vocabularies, without copies of the scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_NUMBERS = {"cpu": 1 << 19}
"""Scores that are worked on at a time, by device: on the host, what stays in the cache."""
CHUNK_NUMBERS_ELSEWHERE = 1 << 26


def smoothed_cross_entropy(logits: Tensor, tokens: Tensor, smoothing: float = 0.0) -> Tensor:
    """Sum over rows of ``-sum_v q(v) log p(v)``, ``p`` the softmax of a row (Szegedy et al. 2016, section 7).

    ``q`` gives ``smoothing / vocab`` to every token, and the rest to the true one. OpenSeq2Seq gave
    ``smoothing / (vocab - 1)`` to every other token, and subtracted the entropy of ``q``, a constant.

    The backward pass turns the logits into their own gradient where they stand, unless they are a leaf: what else
    reads them must do so before. They may be in half precision; sums are in float32 at least.

    Args:
        logits: ``(rows, vocab)``.
        tokens: ``(rows,)`` int64.
        smoothing: in [0, 1).

    Returns:
        a scalar, float32 (float64 for float64 logits).
    """
    in_place = logits.requires_grad and not logits.is_leaf
    total = _SmoothedCrossEntropy.apply(logits, tokens, smoothing, in_place)
    assert isinstance(total, Tensor)
    return total


class _SmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, tokens: Tensor, smoothing: float, in_place: bool) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        normalisers, means = [], []
        for part in _chunks(logits):
            scores = part.to(wide)
            normalisers.append(scores.logsumexp(1))
            if smoothing > 0:
                means.append(scores.mean(1))
        normaliser = torch.cat(normalisers)
        losses = normaliser - (1 - smoothing) * logits.gather(1, tokens[:, None])[:, 0].to(wide)
        if smoothing > 0:
            losses -= smoothing * torch.cat(means)
        ctx.save_for_backward(logits, tokens, normaliser)
        ctx.smoothing, ctx.in_place = smoothing, in_place
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor, None, None, None]:
        logits, tokens, normaliser = ctx.saved_tensors
        gradient = logits if ctx.in_place else torch.empty_like(logits)
        rows = _chunk_rows(logits)
        pieces = (x.split(rows) for x in (logits, gradient, tokens[:, None], normaliser[:, None]))
        for scores, out, true, norm in zip(*pieces, strict=True):
            part = torch.sub(scores, norm, out=out) if out.dtype == norm.dtype else scores - norm
            part.exp_().sub_(ctx.smoothing / logits.shape[1])
            part.scatter_add_(1, true, part.new_full((1, 1), ctx.smoothing - 1).expand_as(true))
            torch.mul(part, grads[0], out=out) if out.dtype == norm.dtype else out.copy_(part.mul_(grads[0]))
        return gradient, None, None, None


def _chunk_rows(logits: Tensor) -> int:
    numbers = CHUNK_NUMBERS.get(logits.device.type, CHUNK_NUMBERS_ELSEWHERE)
    return max(1, numbers // max(1, logits.shape[1]))


def _chunks(logits: Tensor) -> Iterator[Tensor]:
    yield from logits.split(_chunk_rows(logits))
