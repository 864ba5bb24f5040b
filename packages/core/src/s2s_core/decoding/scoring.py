"""Language models as others see them: whatever gives a sequence a probability, for rescoring and for searches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from s2s_core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from s2s_core.decoding.state import DecodingState

ARPA_SUFFIXES = (".arpa", ".lm", ".arpa.gz", ".lm.gz")


class SequenceScorer(Protocol):
    """A language model over token sequences; it is also a `s2s_core.decoding.state.Stepper`.

    Log-probabilities are natural. A sequence is scored with its end; ids are the model's own, from `encode`.
    """

    vocab_size: int
    begin_id: int
    """What the first token follows."""
    end_id: int

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without beginning and end."""
        ...

    def score(self, sequences: Sequence[Sequence[int]], ends: bool = True) -> list[float]:
        """The log-probability of each sequence, in batches whose composition changes nothing.

        Args:
            sequences: ids, without beginning and end.
            ends: whether the probability that the sequence ends there counts.
        """
        ...

    def start(self, rows: int) -> DecodingState:
        """The state before the first token: the first `step` takes ``begin_id``."""
        ...

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, DecodingState]:
        """Take one more token a row, ``(rows,)``; returns log-probabilities ``(rows, vocab_size)`` of the next."""
        ...


def load_scorer(path: str | os.PathLike[str], device: str = "cpu") -> SequenceScorer:
    """A scorer from a language model's checkpoint, or from an n-gram model in ARPA form (``.arpa``, ``.lm``, or .gz).

    Raises:
        UserError: if the file is neither.
    """
    name = Path(path).name
    if name.endswith(ARPA_SUFFIXES):
        from s2s_core.decoding.arpa import ArpaScorer

        return ArpaScorer.load(path)
    from s2s_core.checkpoint import load_task

    task = load_task(path, "lm", device)
    scorer = getattr(task, "scorer", None)
    if scorer is None:
        raise UserError(f"checkpoint '{path}': is no language model")
    return scorer()


def score_texts(scorer: SequenceScorer, texts: Sequence[str]) -> list[float]:
    """The log-probability of each text and its end."""
    return scorer.score([scorer.encode(text) for text in texts])
