"""Which frames spell the labels of a transcript."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from s2s_asr.decoders.ctc import TokenSpan


def align_tokens(log_probs: Tensor, tokens: Sequence[int]) -> list[TokenSpan] | None:
    """The frames of each label on the most probable path that spells them all (Viterbi).

    Args:
        log_probs: ``(time, labels + 1)`` on the host, the blank last.
        tokens: the labels.

    Returns:
        spans in order of time; None where there are fewer frames than the labels need.
    """
    from torchaudio.functional import forced_align  # torchaudio takes a second to import

    needed = len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))
    if not tokens or needed > len(log_probs):
        return None if tokens else []
    blank = log_probs.shape[1] - 1
    path, scores = forced_align(
        log_probs.float().contiguous()[None], torch.tensor([list(tokens)], dtype=torch.int32), blank=blank
    )
    spans, start = [], 0
    probabilities = scores[0].exp().tolist()
    for label, run in itertools.groupby(path[0].tolist()):
        end = start + len(list(run))
        if label != blank:
            spans.append(TokenSpan(label, start, end, max(probabilities[start:end])))
        start = end
    return spans
