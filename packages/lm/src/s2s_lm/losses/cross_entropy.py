"""Cross entropy over the whole vocabulary."""

from __future__ import annotations

from torch import Tensor

from s2s_core.losses.reduction import LossSum
from s2s_lm.interfaces import LmDecoder, LmLoss


class CrossEntropy(LmLoss):
    """The exact negative log-probability of each next token, whatever the output layer."""

    def __init__(self) -> None:
        super().__init__()

    @classmethod
    def examples(cls) -> list[CrossEntropy]:
        return [cls()]

    def forward(self, decoder: LmDecoder, encodings: Tensor, targets: Tensor) -> LossSum:
        return LossSum(decoder.total_nll(encodings, targets).float(), (targets >= 0).sum().float())
