"""The mean of a loss, over utterances or over tokens."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from s2s_asr.interfaces import Loss
from s2s_core.losses.reduction import LossSum

Reduction = Literal["utterance", "token"]


class ReducedLoss(Loss):
    """A loss that adds up what it has against each utterance.

    Args:
        reduction: what the mean is over: ``"utterance"``, or ``"token"``, the target tokens.

    Raises:
        ValueError: if the reduction is another.
    """

    def __init__(self, reduction: Reduction) -> None:
        super().__init__()
        if reduction not in ("utterance", "token"):
            raise ValueError(f"reduction must be 'utterance' or 'token', got {reduction!r}")
        self.reduction = reduction

    def _reduced(self, losses: Tensor, kept: Tensor, token_lengths: Tensor) -> LossSum:
        """The sum of the losses that are kept, and the count of all, kept or not.

        Args:
            losses: ``(batch, ...)``.
            kept: bool, of their shape; what is not kept gives no gradient, even where it is no number.
            token_lengths: ``(batch,)``, the targets that count.
        """
        total = losses.where(kept, 0).sum()
        count = total.new_tensor(len(losses)) if self.reduction == "utterance" else token_lengths.sum()
        return LossSum(total, count.to(total.dtype))
