"""Cross entropy of the next token."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from s2s_core.losses.reduction import LossSum
from s2s_core.losses.sequence import smoothed_cross_entropy
from s2s_nmt.interfaces import Loss


class CrossEntropyLoss(Loss):
    """``-sum_v q(v) log p(v)`` of every real token, ``q`` smoothed towards the uniform distribution.

    See `smoothed_cross_entropy` for the formula, and for what becomes of the logits.

    Args:
        label_smoothing: in [0, 1); 0 is off. The paper's Transformer takes 0.1.
        reduction: whether the sum is divided by the number of tokens, or of sentences.

    Raises:
        ValueError: if an argument is outside.
    """

    def __init__(self, label_smoothing: float = 0.0, reduction: Literal["token", "sentence"] = "token") -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
        if reduction not in ("token", "sentence"):
            raise ValueError(f"reduction must be token or sentence, got {reduction!r}")
        self.label_smoothing = label_smoothing
        self.reduction = reduction

    @classmethod
    def examples(cls) -> list[CrossEntropyLoss]:
        """Small ones for the contract tests."""
        return [cls(), cls(0.1), cls(0.1, "sentence")]

    def forward(self, logits: Tensor, tokens: Tensor, lengths: Tensor) -> LossSum:
        total = smoothed_cross_entropy(logits, tokens, self.label_smoothing)
        units = lengths.sum() if self.reduction == "token" else (lengths > 0).sum()
        return LossSum(total, units.to(total.dtype))
