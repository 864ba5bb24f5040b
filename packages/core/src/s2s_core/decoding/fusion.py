"""Several models that score the next token together, as one model to a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from s2s_core.decoding.state import DecodingState, Stepper

if TYPE_CHECKING:
    from s2s_core.decoding.scoring import SequenceScorer


@dataclass
class FusedState(DecodingState):
    """The states of all models."""

    states: list[DecodingState]

    @property
    def attention(self) -> Tensor | None:  # type: ignore[override]
        """Of the first model."""
        return self.states[0].attention

    def expand(self, width: int) -> FusedState:
        return FusedState([state.expand(width) for state in self.states])

    def select(self, rows: Tensor) -> FusedState:
        return FusedState([state.select(rows) for state in self.states])


class Fused:
    """The weighted sum of log probabilities (log-linear combination; "shallow fusion" where one is a language model).

    Its sums are no log probabilities, but none is above 0: search with ``normalise=False``; and with a margin if one of
    the models is a `s2s_core.decoding.word_stepper.WordStepper`, which can give more than 0.

    Args:
        steppers: of one vocabulary; each must give log probabilities, or what is to be added to them.
        weights: of each, not negative. A model of weight 0 is not asked.

    Raises:
        ValueError: if vocabularies or numbers differ, or a weight is negative.
    """

    def __init__(self, steppers: Sequence[Stepper], weights: Sequence[float]) -> None:
        if len(steppers) != len(weights) or not steppers:
            raise ValueError(f"{len(weights)} weights for {len(steppers)} models")
        if min(weights) < 0:
            raise ValueError(f"weights must not be negative, got {list(weights)}")
        sizes = {stepper.vocab_size for stepper in steppers}
        if len(sizes) > 1:
            raise ValueError(f"models of one vocabulary are fused, got sizes {sorted(sizes)}")
        self.steppers, self.weights = list(steppers), list(weights)
        self.vocab_size = steppers[0].vocab_size

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, FusedState]:
        """Take one more token a row, ``(rows,)``; returns weighted sums ``(rows, vocab_size)`` and the new state."""
        assert isinstance(state, FusedState)
        total: Tensor | None = None
        after: list[DecodingState] = []
        for stepper, weight, before in zip(self.steppers, self.weights, state.states, strict=True):
            if weight == 0:  # minus infinity times 0 is no number
                after.append(before)
                continue
            log_probs, new = stepper.step(tokens, before)
            total = weight * log_probs if total is None else total + weight * log_probs
            after.append(new)
        if total is None:
            total = torch.zeros(len(tokens), self.vocab_size, device=tokens.device)
        return total, FusedState(after)


class ScorerStepper:
    """A language model that scores another vocabulary's tokens.

    Args:
        scorer: the language model.
        ids: ``(vocab_size,)``, the scorer's token for each of the search's.
        start_token: of the search; the scorer begins with its own.
    """

    def __init__(self, scorer: SequenceScorer, ids: Tensor, start_token: int) -> None:
        self.scorer = scorer
        self.vocab_size = len(ids)
        self.ids = ids
        self.inputs = ids.clone()
        self.inputs[start_token] = scorer.begin_id

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, DecodingState]:
        """Take one more token a row; returns log probabilities of the search's tokens."""
        log_probs, state = self.scorer.step(self.inputs[tokens], state)
        return log_probs[:, self.ids], state
