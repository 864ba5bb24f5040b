"""Connectionist temporal classification: the summed probability of every alignment."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_asr.losses.reduction import ReducedLoss, Reduction
from s2s_core.errors import UserError
from s2s_core.losses.reduction import LossSum
from s2s_core.nn.cells import wide
from s2s_core.nn.mask import length_mask


def frames_needed(tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """Return ``(batch,)``, the fewest frames that can spell each target: its tokens and a blank between repeats.

    Args:
        tokens: ``(batch, tokens)``.
        token_lengths: ``(batch,)``.
    """
    if tokens.shape[1] < 2:
        return token_lengths
    real = length_mask(token_lengths - 1, tokens.shape[1] - 1)
    return token_lengths + ((tokens[:, 1:] == tokens[:, :-1]) & real).sum(dim=1)


class CtcLoss(ReducedLoss):
    """Minus the log-probability of the transcript under CTC (Graves et al. 2006, section 4.1), blank last.

    Computed in float32 whatever the precision of the logits and of autocast (float64 logits stay float64).

    A target that needs more frames than its utterance has (U tokens and R repeats need T >= U + R) has probability
    zero. OpenSeq2Seq ignored such targets and with ``mask_nan`` set every NaN or infinite utterance to zero, which
    hides a diverging model from its loss scaler. Here only the infeasible are zeroed, loss and gradient: a NaN or an
    infinity that comes from the logits reaches the total.

    On a GPU torch copies the lengths to the host, which waits for the forward pass, and adds up the gradient in no
    fixed order: ``deterministic: true`` refuses it there.

    Args:
        infeasible: ``"zero"`` leaves infeasible targets out of the total; ``"raise"`` refuses the batch, at the price
            of a host-device synchronisation a step.
        reduction: what the mean is over. ``"utterance"`` is OpenSeq2Seq's: the mean over the batch of per-utterance
            sums; ``"token"`` divides by the number of target tokens instead. Both count infeasible rows, as
            OpenSeq2Seq does, so that the step size of the others does not depend on them.

    Raises:
        ValueError: if an argument is none of the above.
    """

    def __init__(self, infeasible: Literal["zero", "raise"] = "zero", reduction: Reduction = "utterance") -> None:
        super().__init__(reduction)
        if infeasible not in ("zero", "raise"):
            raise ValueError(f"infeasible must be 'zero' or 'raise', got {infeasible!r}")
        self.infeasible = infeasible

    @classmethod
    def examples(cls) -> list[CtcLoss]:
        """Small ones for the contract tests."""
        return [cls(), cls(infeasible="raise", reduction="token")]

    def forward(self, logits: Tensor, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        """Compare logits ``(batch, time, vocab_size + 1)`` with tokens ``(batch, tokens)``.

        Raises:
            UserError: on an infeasible target, if they are to be refused; names the row of the batch.
        """
        needed = frames_needed(tokens, token_lengths)
        feasible = needed <= logit_lengths
        if self.infeasible == "raise" and not bool(feasible.all()):
            raise UserError(_first_infeasible(feasible, needed, logit_lengths, token_lengths))
        losses = _utterance_losses(logits, logit_lengths, tokens, token_lengths.where(feasible, 0))
        return self._reduced(losses, feasible, token_lengths)


def _utterance_losses(logits: Tensor, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
    with torch.autocast(logits.device.type, enabled=False):
        log_probs = F.log_softmax(wide(logits), dim=-1).transpose(0, 1)
        blank = logits.shape[-1] - 1
        # zero_infinity would also hide the infinities that a diverged model makes
        return F.ctc_loss(log_probs, tokens, logit_lengths, token_lengths, blank=blank, reduction="none")


def _first_infeasible(feasible: Tensor, needed: Tensor, logit_lengths: Tensor, token_lengths: Tensor) -> str:
    row = int((~feasible).nonzero()[0])
    return (
        f"row {row} of the batch: its transcript of {int(token_lengths[row])} tokens needs {int(needed[row])} encoder "
        f"frames under CTC, but its audio gives {int(logit_lengths[row])}; shorten the transcript, lower the encoder's "
        "stride, or set the loss's infeasible: zero"
    )
