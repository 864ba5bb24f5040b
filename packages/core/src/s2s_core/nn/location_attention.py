"""Attention that sees where it has been: one query a step, additive scores, features of earlier weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.cells import wide
from s2s_core.nn.linear import linear


class Attended(NamedTuple):
    """Where an attention looks, and where it has looked, row by row."""

    weights: Tensor
    """``(rows, time)``: of the last step."""
    cumulative: Tensor
    """``(rows, time)``: the sum of all steps' weights."""


class LocationAttention(nn.Module):
    """Scores ``v . tanh(W_q query + W_m value + W_l f + b)`` with ``f`` a convolution of earlier weights.

    Location-sensitive attention of Chorowski et al. 2015 (section 2.2) as Tacotron 2 uses it (Shen et al. 2018, section
    2.2). The convolution sees two channels, the last step's weights and the sum of all steps' (OpenSeq2Seq: the sum
    alone), and has no bias.

    With ``forward`` the weights are those of forward attention (Zhang et al., arXiv 1807.06736, algorithm 1): what a
    step attends to, the step before attended to, or its left neighbour. It starts at the first frame.

    Args:
        query_size: the size of a query.
        memory_size: the size of a frame of the memory.
        size: of the space in which both meet.
        filters: of the convolution.
        kernel: its taps; odd.
        forward: whether attention may only stay or move on by one frame a step.

    Raises:
        ValueError: if the kernel is even.
    """

    def __init__(
        self, query_size: int, memory_size: int, size: int, filters: int = 32, kernel: int = 31, forward: bool = False
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the location kernel must be odd, got {kernel}")
        self.only_forward = forward
        self.query_weight = nn.Parameter(torch.empty(size, query_size))
        self.memory_weight = nn.Parameter(torch.empty(size, memory_size))
        self.location_conv = nn.Parameter(torch.empty(filters, 2, kernel))
        self.location_weight = nn.Parameter(torch.empty(size, filters))
        self.score_weight = nn.Parameter(torch.empty(size))
        self.bias = nn.Parameter(torch.zeros(size))
        for weight in (self.query_weight, self.memory_weight, self.location_weight, self.score_weight[None]):
            nn.init.xavier_uniform_(weight, gain=5 / 3)
        nn.init.xavier_uniform_(self.location_conv)

    def keys(self, values: Tensor) -> Tensor:
        """``(batch, time, memory_size)`` to ``(batch, time, size)``, for all steps to come."""
        return linear(values, self.memory_weight, self.bias)

    def location_kernel(self) -> Tensor:
        """Convolution and projection in one, for compiled kernels: ``(size, 2, kernel)``."""
        return torch.einsum("sf,fck->sck", self.location_weight, self.location_conv)

    def start(self, values: Tensor) -> Attended:
        """Before the first step, for a memory ``(batch, time, memory_size)``."""
        zeros = torch.zeros(values.shape[:2], dtype=wide(values[:0]).dtype, device=values.device)
        weights = zeros.clone()
        if self.only_forward:
            weights[:, 0] = 1.0
        return Attended(weights, zeros)

    def step(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, before: Attended
    ) -> tuple[Tensor, Attended]:
        """Attend once.

        Args:
            query: ``(rows, query_size)``.
            keys: what `keys` returned for the rows.
            values: ``(rows, time, memory_size)``.
            mask: ``(rows, time)``, true where a frame is real.
            before: what the step before returned, or `start`.

        Returns:
            contexts ``(rows, memory_size)``, and where was looked.
        """
        conv, both = self.location_conv.to(before.weights), torch.stack(before, 1)
        features = F.conv1d(both, conv, padding=conv.shape[2] // 2).mT  # one after the other: fewer filters than sizes
        location = linear(features, self.location_weight.to(before.weights), None)
        inner = torch.tanh(linear(query, self.query_weight, None)[:, None] + keys + location)
        scores = wide(inner @ self.score_weight.to(inner.dtype)).masked_fill(~mask, float("-inf"))
        weights = scores.softmax(-1)
        if self.only_forward:
            weights = moved_on(before.weights) * weights
            weights = weights / weights.sum(-1, keepdim=True).clamp(min=SMALLEST)
        context = torch.einsum("rt,rtm->rm", weights.to(values.dtype), values)
        return context, Attended(weights, before.cumulative + weights)


SMALLEST = 1e-8
"""The least sum of weights that forward attention divides by: scores may leave it nowhere to go."""


def moved_on(weights: Tensor) -> Tensor:
    """``(..., time)`` weights and the same one frame later, added."""
    return weights + F.pad(weights[..., :-1], (1, 0))
