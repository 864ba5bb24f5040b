"""Losses as a total and what it is a total of, so that averages stay exact over ranks and micro-batches."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LossSum(NamedTuple):
    """A summed loss and its weight; the quotient is the loss that is optimised and logged."""

    total: Tensor
    """Scalar, float32, differentiable."""
    weight: Tensor
    """Scalar: the number of utterances, tokens or frames that ``total`` sums over."""

    @property
    def mean(self) -> Tensor:
        return self.total / self.weight.clamp(min=1)
