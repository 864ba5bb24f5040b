"""Which frames spell the labels of a transcript."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from s2s_asr.interfaces import TokenSpan
from s2s_asr.words import runs
from s2s_core.nn.cells import wide


class Aligned(NamedTuple):
    """The most probable path that spells a text."""

    spans: list[TokenSpan]
    """Its labels in order of time."""
    score: float
    """The logarithm of its probability."""


def align_tokens(log_probs: Tensor, tokens: Sequence[int]) -> Aligned | None:
    """The frames of each label on the most probable path that collapses to the labels (Graves et al. 2006, section 4;
    Viterbi 1967); torchaudio's search, which keeps a byte a frame and state.

    Args:
        log_probs: ``(time, labels + 1)`` on the host, the blank last.
        tokens: the labels.

    Returns:
        None where there are fewer frames than the labels need, or no path has a probability that is a number.
    """
    from torchaudio.functional import forced_align  # torchaudio takes a second to import

    if not len(log_probs) or frames_needed(tokens) > len(log_probs):
        return None
    log_probs, blank = wide(log_probs), log_probs.shape[1] - 1
    if not tokens:
        score = float(log_probs[:, blank].sum())
        return Aligned([], score) if math.isfinite(score) else None
    path, scores = forced_align(
        log_probs.contiguous()[None], torch.tensor([list(tokens)], dtype=torch.int32), blank=blank
    )
    score = float(scores.sum())
    if not math.isfinite(score):
        return None
    found = runs(path[0].tolist(), scores[0].exp().tolist())
    return Aligned([span for span in found if span.token != blank], score)


def frames_needed(tokens: Sequence[int]) -> int:
    """The fewest frames that can spell the labels: one each, and a blank between two alike."""
    return len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))
