"""Auto segmentation criterion: every alignment of the transcript against every path there is."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from s2s_asr.decoders.asg import AsgScores
from s2s_asr.losses.reduction import ReducedLoss, Reduction
from s2s_asr.replabel import pack_repeats
from s2s_core.losses.reduction import LossSum
from s2s_core.nn.cells import wide
from s2s_core.nn.mask import length_mask

IMPOSSIBLE = -1e30
"""The score of what cannot be; minus infinity would make its gradient no number."""


class AsgLoss(ReducedLoss):
    """``logadd`` over all paths of their scores, less that over the paths that spell the transcript (Collobert et al.
    2016, https://arxiv.org/abs/1609.03193, equation 3); never below zero.

    A path's score is the sum of its frames' scores and of the transitions between them. Scores are not normalised: the
    first sum does that, over whole paths. In float32 whatever the precision of the scores (float64 stays float64).
    Transcripts are written with labels for repetition first (`s2s_asr.replabel`). An utterance with fewer frames than
    labels, or without labels, is left out of the total.

    Args:
        reduction: what the mean is over: ``"utterance"``, or ``"token"``, the target tokens. Both count what is left
            out, as `CtcLoss` does.

    Raises:
        ValueError: if the reduction is another.
    """

    takes: ClassVar[str] = "frames and transitions"

    def __init__(self, reduction: Reduction = "utterance") -> None:
        super().__init__(reduction)

    @classmethod
    def examples(cls) -> list[AsgLoss]:
        """Small ones for the contract tests."""
        return [cls(), cls(reduction="token")]

    def forward(self, logits: AsgScores, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        """Compare scores with tokens ``(batch, tokens)``."""
        frames, transitions, replabels = logits
        vocab_size = frames.shape[-1] - replabels
        targets, counts = pack_repeats(tokens, token_lengths, vocab_size, replabels)
        feasible = (counts >= 1) & (counts <= logit_lengths)
        with torch.autocast(frames.device.type, enabled=False):
            scores = wide(frames)
            moves = transitions.to(scores)
            spelling = spelling_paths(scores, moves, logit_lengths, targets, counts.clamp(min=1))
            losses = all_paths(scores, moves, logit_lengths) - spelling
        return self._reduced(losses, feasible, token_lengths)


def all_paths(logits: Tensor, transitions: Tensor, lengths: Tensor) -> Tensor:
    """``logadd`` of all paths, ``(batch,)``: the full-connect graph."""
    real = length_mask(lengths, logits.shape[1])[..., None]
    sums = logits[:, 0]
    for t in range(1, logits.shape[1]):
        after = (sums[:, :, None] + transitions).logsumexp(dim=1) + logits[:, t]
        sums = torch.where(real[:, t], after, sums)
    return sums.logsumexp(dim=1)


def spelling_paths(logits: Tensor, transitions: Tensor, lengths: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """``logadd`` of the paths that spell ``targets``, ``(batch,)``: each label for one frame or more, in order."""
    batch, time, _ = logits.shape
    if targets.shape[1] == 0:
        return logits.new_zeros(batch)
    real = length_mask(lengths, time)[..., None]
    emitted = logits.gather(2, targets[:, None].expand(-1, time, -1))
    stays = transitions[targets, targets]
    moves = transitions[targets[:, :-1], targets[:, 1:]]
    nothing = logits.new_full((batch, 1), IMPOSSIBLE)
    sums = torch.cat([emitted[:, 0, :1], nothing.expand(-1, targets.shape[1] - 1)], dim=1)
    for t in range(1, time):
        moved = torch.cat([nothing, sums[:, :-1] + moves], dim=1)
        sums = torch.where(real[:, t], torch.logaddexp(sums + stays, moved) + emitted[:, t], sums)
    return sums.gather(1, counts[:, None] - 1)[:, 0]
