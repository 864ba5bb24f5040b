"""The most likely way in which a CTC model spells a given text: batched Viterbi search."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_asr.decoders.ctc import TokenSpan
from s2s_core.nn.mask import length_mask

_NEVER = -1e30
"""A logarithm of no probability that can be added to without becoming no number."""


class Alignments(NamedTuple):
    """The best path of each utterance through its own text."""

    labels: Tensor
    """``(batch, time)``, int64: the label of each frame, blank included; blank past the end."""
    spans: list[list[TokenSpan] | None]
    """Each token of the text with its frames; None where the text needs more frames than there are."""
    scores: Tensor
    """``(batch,)``: the logarithm of the path's probability; minus infinity where there is none."""


@torch.no_grad()
def align_ctc(log_probs: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor, blank: int) -> Alignments:
    """Find the most likely path that collapses to each text (Graves et al. 2006, section 4; Viterbi 1967).

    Time is walked once for the whole batch, over the text with blanks between; of every step one byte a state is kept.

    Args:
        log_probs: ``(batch, time, labels)``, any floating type; computed in float32 or more.
        lengths: ``(batch,)`` frames.
        tokens: ``(batch, tokens)``, int64; what lies past the ends is not read.
        token_lengths: ``(batch,)``.
        blank: its label.
    """
    batch, time = log_probs.shape[:2]
    log_probs = log_probs.double() if log_probs.dtype == torch.float64 else log_probs.float()
    device = log_probs.device
    real = length_mask(token_lengths, tokens.size(1))
    states = torch.full((batch, 2 * tokens.size(1) + 1), blank, device=device)
    states[:, 1::2] = torch.where(real, tokens, blank)
    ends = 2 * token_lengths
    moves, best = _forward(log_probs, lengths, states, blank)
    last = torch.stack([ends, (ends - 1).clamp(min=0)], dim=1)
    candidates = best.gather(1, last).masked_fill((last == 0) & (ends > 0)[:, None], _NEVER)
    scores, which = candidates.max(dim=1)
    place = last.gather(1, which[:, None])[:, 0]
    path = torch.zeros(batch, time, dtype=torch.int64, device=device)
    for t in range(time - 1, -1, -1):
        inside = t < lengths
        path[:, t] = torch.where(inside, place, 0)
        step = moves[t].gather(1, place[:, None])[:, 0].long()
        place = torch.where(inside, place - step, place)
    feasible = (scores > _NEVER / 2) & (lengths > 0)
    labels = torch.where(length_mask(lengths, time), states.gather(1, path), blank)
    chosen = log_probs.gather(2, labels[..., None])[..., 0]
    rows = zip(path.tolist(), chosen.exp().tolist(), lengths.tolist(), tokens.tolist(), feasible.tolist(), strict=True)
    spans = [_spans(p[:n], c, ids) if good else None for p, c, n, ids, good in rows]
    return Alignments(labels, spans, scores.masked_fill(~feasible, -torch.inf))


def _forward(log_probs: Tensor, lengths: Tensor, states: Tensor, blank: int) -> tuple[list[Tensor], Tensor]:
    """The move (0, 1 or 2 states) into each state at each step, and the score of each state at each row's end."""
    batch, count = states.shape
    skips = torch.zeros_like(states, dtype=torch.bool)
    skips[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    emitted = log_probs.gather(2, states[:, None].expand(-1, log_probs.size(1), -1))
    best = torch.full((batch, count), _NEVER, dtype=log_probs.dtype, device=log_probs.device)
    moves: list[Tensor] = []
    for t in range(log_probs.size(1)):
        if t == 0:
            new = best.clone()
            new[:, :2] = emitted[:, 0, :2]
            move = torch.zeros_like(states, dtype=torch.uint8)
        else:
            one = F.pad(best, (1, 0), value=_NEVER)[:, :-1]
            two = F.pad(best, (2, 0), value=_NEVER)[:, :count].masked_fill(~skips, _NEVER)
            top, chosen = torch.stack([best, one, two]).max(dim=0)
            new, move = (top + emitted[:, t]).clamp(min=_NEVER), chosen.to(torch.uint8)
        moves.append(move)
        best = torch.where((t < lengths)[:, None], new, best)
    return moves, best


def _spans(path: list[int], probabilities: list[float], tokens: list[int]) -> list[TokenSpan]:
    spans: list[TokenSpan] = []
    before = -1
    for frame, (state, probability) in enumerate(zip(path, probabilities, strict=False)):
        if state % 2:
            if state == before:
                old = spans[-1]
                spans[-1] = old._replace(end=frame + 1, probability=max(old.probability, probability))
            else:
                spans.append(TokenSpan(tokens[state // 2], frame, frame + 1, probability))
        before = state
    return spans
