"""Attention of recurrent decoders: one query a step, scored against every frame of a memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from s2s_core.nn.cells import wide
from s2s_core.nn.linear import linear
from s2s_core.nn.shared_product import SharedProducts

ScoreName = Literal["bahdanau", "luong"]


class RecurrentAttention(nn.Module, ABC):
    """Scores queries against a memory whose keys are computed once.

    Args:
        query_size: the size of a query.
        memory_size: the size of a frame of the memory.
        size: of the space in which the two meet.
    """

    def __init__(self, query_size: int, memory_size: int, size: int) -> None:
        super().__init__()
        self.memory_weight = nn.Parameter(torch.empty(size, memory_size))
        nn.init.xavier_uniform_(self.memory_weight)

    def keys(self, values: Tensor) -> Tensor:
        """``(batch, time, memory_size)`` to ``(batch, time, size)``, for all queries to come."""
        return linear(values, self.memory_weight, None)

    @abstractmethod
    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``(batch, queries, query_size)`` and ``(batch, time, size)`` to ``(batch, queries, time)``."""

    def score_steps(self, keys: Tensor) -> Callable[[Tensor], Tensor]:
        """Scores of one query ``(rows, query_size)`` a step, for the first rows of the memory: ``(rows, time)``."""
        return lambda query: self.scores(query[:, None], keys[: len(query)])[:, 0]

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Attend to the real frames.

        Args:
            queries: ``(batch, queries, query_size)``: steps or hypotheses of a sentence.
            keys: what `keys` returned.
            values: ``(batch, time, memory_size)``.
            mask: ``(batch, time)``, true where a frame is real.

        Returns:
            contexts ``(batch, queries, memory_size)`` and weights ``(batch, queries, time)``, float32, which sum to 1.
        """
        scores = wide(self.scores(queries, keys))
        weights = scores.masked_fill(~mask[:, None], float("-inf")).softmax(-1)
        return weights.to(values.dtype) @ values, weights


class BahdanauAttention(RecurrentAttention):
    """Additive scores ``v . tanh(W_q query + W_m value)`` (Bahdanau et al. 2015, appendix A.1.2).

    Normalised, ``g * v / |v| . tanh(W_q query + W_m value + b)`` (weight normalisation, Salimans and Kingma 2016, as
    OpenSeq2Seq's GNMT has it): ``g`` starts at ``sqrt(1 / size)``, ``b`` at zero.
    """

    def __init__(self, query_size: int, memory_size: int, size: int, normalised: bool = False) -> None:
        super().__init__(query_size, memory_size, size)
        self.query_weight = nn.Parameter(torch.empty(size, query_size))
        self.score_weight = nn.Parameter(torch.empty(size))
        self.gain = nn.Parameter(torch.tensor(size**-0.5)) if normalised else None
        self.bias = nn.Parameter(torch.zeros(size)) if normalised else None
        nn.init.xavier_uniform_(self.query_weight)
        nn.init.xavier_uniform_(self.score_weight[None])

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        projected = linear(queries, self.query_weight, self.bias)
        weight = self.score_weight
        if self.gain is not None:
            weight = self.gain * weight / weight.norm()
        return torch.tanh(projected[:, :, None] + keys[:, None]) @ weight.to(keys.dtype)


class LuongAttention(RecurrentAttention):
    """Multiplicative scores ``query . W_m value`` (Luong et al. 2015, section 3.1, "general").

    Scaled, ``g`` times that; ``g`` starts at 1.
    """

    def __init__(self, query_size: int, memory_size: int, scaled: bool = False) -> None:
        super().__init__(query_size, memory_size, query_size)
        self.gain = nn.Parameter(torch.ones(())) if scaled else None

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        return self._scaled(queries.to(keys.dtype) @ keys.mT)

    def score_steps(self, keys: Tensor) -> Callable[[Tensor], Tensor]:
        products = SharedProducts(keys.mT)
        return lambda query: self._scaled(products(query))

    def _scaled(self, scores: Tensor) -> Tensor:
        return scores if self.gain is None else self.gain * scores


class AttentionSteps:
    """Attention of one query a step to a memory that all steps share, for training.

    Args:
        attention: scores the queries.
        keys, values, mask: of the memory, as in `RecurrentAttention`. Steps may come from its first rows only.
    """

    def __init__(self, attention: RecurrentAttention, keys: Tensor, values: Tensor, mask: Tensor) -> None:
        self.scores = attention.score_steps(keys)
        self.contexts = SharedProducts(values)
        self.mask = mask

    def __call__(self, query: Tensor) -> Tensor:
        """``(rows, query_size)`` to contexts ``(rows, memory_size)``."""
        scores = wide(self.scores(query)).masked_fill(~self.mask[: len(query)], float("-inf"))
        return self.contexts(scores.softmax(-1))


def build_attention(
    score: ScoreName, query_size: int, memory_size: int, size: int | None, scaled: bool
) -> RecurrentAttention:
    """Return the attention of that name.

    Args:
        score: which.
        query_size: the size of a query.
        memory_size: the size of a frame of the memory.
        size: of the space of `BahdanauAttention`; the query's if not given.
        scaled: normalises `BahdanauAttention`, scales `LuongAttention`.

    Raises:
        ValueError: for another name, or for a Luong attention of another size than the query's.
    """
    if score == "bahdanau":
        return BahdanauAttention(query_size, memory_size, size or query_size, scaled)
    if score != "luong":
        raise ValueError(f"score must be bahdanau or luong, got {score!r}")
    if size not in (None, query_size):
        raise ValueError(f"luong attention has the size of its queries, {query_size}, got {size}")
    return LuongAttention(query_size, memory_size, scaled)
