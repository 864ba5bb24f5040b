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

NEVER = -1e30
"""A logarithm of no probability that can be added to without becoming no number."""


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
    if not bool((log_probs < math.inf).all()):  # nor is a NaN less
        return None
    # where every path is impossible, or no number, torchaudio reads beyond its tables
    log_probs, blank = wide(log_probs).clamp(min=NEVER), log_probs.shape[1] - 1
    if tokens:
        targets = torch.tensor([list(tokens)], dtype=torch.int32)
        labels, found = forced_align(log_probs.contiguous()[None], targets, blank=blank)
        path, scores = labels[0].tolist(), found[0]
    else:
        path, scores = [blank] * len(log_probs), log_probs[:, blank]
    score = float(scores.sum())
    if score < NEVER / 2:
        return None
    return Aligned([span for span in runs(path, scores.exp().tolist()) if span.token != blank], score)


def frames_needed(tokens: Sequence[int]) -> int:
    """The fewest frames that can spell the labels: one each, and a blank between two alike."""
    return len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))
