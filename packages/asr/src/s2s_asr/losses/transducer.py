"""Recurrent neural network transducer: the summed probability of every alignment."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from s2s_asr.losses.reduction import ReducedLoss, Reduction
from s2s_core.losses.reduction import LossSum


class TransducerLoss(ReducedLoss):
    """Minus the log-probability of the transcript under a transducer (Graves 2012, https://arxiv.org/abs/1211.3711,
    section 2.4), blank last.

    Computed by torchaudio in float32, whatever the precision of the scores. torchaudio checks the lengths on the host,
    which waits for an accelerator once a step. An utterance without frames can spell nothing and is left out of the
    total.

    Args:
        reduction: what the mean is over: ``"token"``, the target tokens, or ``"utterance"``. Both count what is left
            out, as `CtcLoss` does.

    Raises:
        ValueError: if the reduction is another.
    """

    takes: ClassVar[str] = "lattice"

    def __init__(self, reduction: Reduction = "utterance") -> None:
        super().__init__(reduction)

    @classmethod
    def examples(cls) -> list[TransducerLoss]:
        """Small ones for the contract tests."""
        return [cls(), cls(reduction="token")]

    def forward(self, logits: Tensor, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        """Compare a lattice ``(batch, time, tokens + 1, vocab_size + 1)`` with tokens ``(batch, tokens)``."""
        heard = logit_lengths > 0
        losses = utterance_losses(logits, logit_lengths.clamp(min=1), tokens, token_lengths)
        return self._reduced(losses, heard, token_lengths)


def utterance_losses(logits: Tensor, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """Minus the log-probability of each transcript, ``(batch,)``; lengths of frames are 1 at least."""
    from torchaudio.functional import rnnt_loss

    # torchaudio refuses a lattice that is longer than its longest row
    time, labels = int(logit_lengths.max()), int(token_lengths.max())
    with torch.autocast(logits.device.type, enabled=False):
        return rnnt_loss(
            logits[:, :time, : labels + 1].float().contiguous(),
            tokens[:, :labels].int().contiguous(),
            logit_lengths.int(),
            token_lengths.int(),
            blank=logits.shape[-1] - 1,
            reduction="none",
        )
