"""The best tokens of every row, without sorting a whole vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128
"""Columns that are looked at as one before the best are sought among them."""
ROWS = 8
"""Rows of the largest vocabularies that fit a processor's cache."""


def top_tokens(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the ``count`` largest of each row, the largest first, and their columns: ``(rows, count)`` both.

    What ``logits.topk(count)`` returns, which on the host takes most of a decoding step where the vocabulary is large.
    The largest elements lie in the blocks with the largest maxima, so that one pass for the maxima leaves ``count``
    blocks to search.
    """
    rows, columns = logits.shape
    blocks = columns // BLOCK
    if count >= blocks:
        values, tokens = logits.topk(count, dim=1)
        return values, tokens
    whole = logits[:, : blocks * BLOCK].unflatten(1, (blocks, BLOCK))
    best = whole.amax(dim=2).topk(count, dim=1).indices
    values = whole[torch.arange(rows, device=logits.device)[:, None], best].flatten(1)
    tokens = (best[:, :, None] * BLOCK + torch.arange(BLOCK, device=logits.device)).flatten(1)
    if blocks * BLOCK < columns:
        rest = torch.arange(blocks * BLOCK, columns, device=logits.device)
        values = torch.cat([values, logits[:, blocks * BLOCK :]], dim=1)
        tokens = torch.cat([tokens, rest.expand(rows, -1)], dim=1)
    values, places = values.topk(count, dim=1)
    return values, tokens.gather(1, places)


def log_normalisers(logits: Tensor) -> Tensor:
    """``log sum exp`` of each row ``(rows,)``, in float32 or better.

    A few rows at a time: what lies between fits a processor's cache, and is no allocation of many megabytes, whose
    pages the system would have to clear at every step.
    """
    at_once = ROWS if logits.device.type == "cpu" else len(logits)
    return torch.cat([_log_sum_exp(rows) for rows in logits.split(at_once)])


def _log_sum_exp(logits: Tensor) -> Tensor:
    wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    # log softmax is one fused pass and logsumexp four; where one less the other is no number, a logit is infinite
    quick = wide[:, 0] - wide.log_softmax(dim=1)[:, 0]
    return quick if quick.isfinite().all() else wide.logsumexp(dim=1)
