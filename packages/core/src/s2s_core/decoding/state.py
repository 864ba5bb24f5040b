"""What an incremental decoder carries from step to step, in a form that a search can rearrange."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from torch import Tensor


class DecodingState(ABC):
    """Key-value caches, recurrent state, attention memory: one row a hypothesis.

    A search begins with one row a sentence, calls `expand` once to get ``width`` neighbouring rows of each, and from
    then on `select` after every step. What all hypotheses of a sentence share (the encoded source) may be kept once.
    A state belongs to its search: a step may write into the state that it is given.
    """

    attention: Tensor | None = None
    """``(rows, source time)``: where the last step looked, each row sums to 1; None in a model that has no one such
    answer. A search reads it for the coverage penalty and for alignments."""

    @abstractmethod
    def expand(self, width: int) -> DecodingState:
        """Repeat every row ``width`` times: row ``r`` becomes rows ``r * width`` to ``r * width + width - 1``."""

    @abstractmethod
    def select(self, rows: Tensor) -> DecodingState:
        """Keep ``rows`` (int64, may repeat and drop), in that order.

        After `expand` the rows of a sentence stay together and ``width`` in number: ``rows`` leaves whole sentences
        out, or replaces hypotheses by others of the same sentence.
        """


class Stepper(Protocol):
    """A model as a search sees it."""

    vocab_size: int

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, DecodingState]:
        """Take one more token a row, ``(rows,)``; returns logits ``(rows, vocab_size)`` and the new state.

        The logits are the caller's: a search writes into them.
        """
        ...
