"""What a search finds, and the shape of every search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from s2s_core.decoding.state import DecodingState, Stepper


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that a search found."""

    tokens: list[int]
    """Without start and end token; a forced prefix included."""
    score: float
    """What hypotheses are ranked by: the log probability under the search's penalties."""
    log_probability: float
    """Natural logarithm of the model's probability of the tokens and, if ``finished``, of the end token."""
    finished: bool
    """Whether the model ended it; False if the length limit did."""
    attention: Tensor | None = None
    """``(tokens, source time)`` on the host: where the model looked for each token; None if it does not say."""

    @property
    def alignment(self) -> list[int] | None:
        """For each token the source position that the model looked at most; None without ``attention``."""
        return None if self.attention is None else self.attention.argmax(dim=1).tolist()


@dataclass(frozen=True)
class CtcHypothesis:
    """A sequence of labels that a search over the frames of a CTC model found."""

    tokens: list[int]
    acoustic: float
    """Natural logarithm of the model's probability of the tokens: of all their paths that the search has followed."""
    words: float = 0.0
    """What a language model and its word bonus add."""

    @property
    def score(self) -> float:
        """What hypotheses are ranked by."""
        return self.acoustic + self.words


class Search(Protocol):
    """From an encoded batch to sequences: `BeamSearch`, `Sampling`."""

    def __call__(
        self,
        stepper: Stepper,
        state: DecodingState,
        source_lengths: Tensor,
        start_token: int,
        end_token: int,
        prefixes: Sequence[Sequence[int]] | None = None,
        banned: Sequence[int] = (),
    ) -> list[list[Hypothesis]]:
        """Return the hypotheses of each sentence, the best first."""
        ...
