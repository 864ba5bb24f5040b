"""Cross entropy between predicted and true distributions over the classes."""

from __future__ import annotations

import torch
from torch import Tensor

from s2s_commands.interfaces import Loss
from s2s_core.losses.reduction import LossSum


class CrossEntropy(Loss):
    """``-sum_c t_c log p_c`` of each row, with targets that may be mixtures of classes.

    Label smoothing (Szegedy et al. 2016, section 7) gives every class ``label_smoothing / classes`` of the target:
    ``t_c = (1 - e) t_c + e / classes``. A row whose target is all zeros has no label and counts for nothing.

    Args:
        label_smoothing: in [0, 1); 0 is off.

    Raises:
        ValueError: if it is outside.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
        self.label_smoothing = label_smoothing

    @classmethod
    def examples(cls) -> list[CrossEntropy]:
        """Small ones for the contract tests."""
        return [cls(), cls(0.1)]

    def forward(self, logits: Tensor, targets: Tensor) -> LossSum:
        """Compare logits ``(batch, classes)`` with distributions ``(batch, classes)``; both float32 at least inside."""
        wide = torch.promote_types(logits.dtype, torch.float32)
        targets = targets.to(wide)
        rows = targets.sum(dim=1, keepdim=True)
        share = self.label_smoothing / targets.shape[1]
        smoothed = targets * (1 - self.label_smoothing) + rows * share
        total = -(smoothed * logits.to(wide).log_softmax(dim=1)).sum()
        return LossSum(total, rows.sum())
