"""The probability of each label given those before it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_asr.losses.reduction import ReducedLoss, Reduction
from s2s_core.losses.reduction import LossSum
from s2s_core.nn.cells import wide
from s2s_core.nn.mask import length_mask


class CrossEntropyLoss(ReducedLoss):
    """Minus the log-probability of the transcript and its end, label by label, in float32 whatever the precision of the
    scores (float64 stays float64).

    Args:
        smoothing: of the true distribution, which gives so much to all labels alike (Szegedy et al. 2016, section 7).
        reduction: what the mean is over: ``"token"``, the labels and ends, or ``"utterance"``.

    Raises:
        ValueError: if the smoothing is outside [0, 1), or the reduction another.
    """

    takes: ClassVar[str] = "next labels"

    def __init__(self, smoothing: float = 0.0, reduction: Reduction = "token") -> None:
        super().__init__(reduction)
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
        self.smoothing = smoothing

    @classmethod
    def examples(cls) -> list[CrossEntropyLoss]:
        """Small ones for the contract tests."""
        return [cls(), cls(smoothing=0.1, reduction="utterance")]

    def forward(self, logits: Tensor, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        """Compare logits ``(batch, tokens + 1, vocab_size + 1)``, the end last, with tokens ``(batch, tokens)``."""
        end = logits.shape[-1] - 1
        targets = F.pad(tokens, (0, 1)).scatter(1, token_lengths[:, None], end)
        real = length_mask(token_lengths + 1, targets.shape[1])
        with torch.autocast(logits.device.type, enabled=False):
            losses = F.cross_entropy(wide(logits).mT, targets, reduction="none", label_smoothing=self.smoothing)
        return self._reduced(losses, real, token_lengths + 1)
