"""What a search adds to log probabilities so that hypotheses of different lengths compare (GNMT)."""

from __future__ import annotations

import torch
from torch import Tensor

from s2s_core.nn.mask import length_mask


def length_penalty(length: int, alpha: float) -> float:
    """``((5 + length) / 6) ** alpha``, by which a log probability is divided.

    Wu et al. 2016 (https://arxiv.org/abs/1609.08144), equation 14. ``length`` counts the end token, as OpenSeq2Seq's
    does.
    """
    return ((5.0 + length) / 6.0) ** alpha


def coverage_penalty(coverage: Tensor, source_lengths: Tensor, beta: float) -> Tensor:
    """``beta * sum_i log(min(coverage_i, 1))`` over the source positions, what is added to a score; never above 0.

    Wu et al. 2016, equation 14.

    Args:
        coverage: ``(rows, source time)``, the attention summed over the tokens of a hypothesis.
        source_lengths: ``(rows,)``.
        beta: 0 is no penalty.

    Returns:
        ``(rows,)``.
    """
    real = length_mask(source_lengths, coverage.size(1))
    # a position that was never looked at would make the score minus infinity, and every such hypothesis alike
    covered = coverage.clamp(min=torch.finfo(coverage.dtype).tiny, max=1.0)
    return beta * covered.log().masked_fill(~real, 0.0).sum(dim=1)
