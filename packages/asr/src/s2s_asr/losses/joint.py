"""CTC and cross entropy together."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from s2s_asr.decoders.joint import JointScores
from s2s_asr.interfaces import Loss
from s2s_asr.losses.cross_entropy import CrossEntropyLoss
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.losses.reduction import Reduction
from s2s_core.losses.reduction import LossSum


class JointLoss(Loss):
    """``ctc_weight * CTC + (1 - ctc_weight) * cross entropy`` (Kim et al. 2017, https://arxiv.org/abs/1609.06773,
    equation 7).

    Both are sums over an utterance and share one mean, so that the weight is between two log-probabilities of the same
    transcript. (OpenSeq2Seq weighs a mean over labels against a sum over them.)

    Args:
        ctc_weight: 0 to 1; OpenSeq2Seq's ``lambda_value``.
        smoothing: of the cross entropy.
        reduction: what the mean is over: ``"token"``, the labels and ends, or ``"utterance"``.
        infeasible: see `CtcLoss`.

    Raises:
        ValueError: if an argument is out of its range.
    """

    takes: ClassVar[str] = "frames and next labels"

    def __init__(
        self,
        ctc_weight: float = 0.25,
        smoothing: float = 0.0,
        reduction: Reduction = "token",
        infeasible: Literal["zero", "raise"] = "zero",
    ) -> None:
        super().__init__()
        if not 0 <= ctc_weight <= 1:
            raise ValueError(f"ctc_weight must be 0 to 1, got {ctc_weight}")
        self.ctc_weight = ctc_weight
        self.ctc = CtcLoss(infeasible)
        self.cross_entropy = CrossEntropyLoss(smoothing, reduction)

    @classmethod
    def examples(cls) -> list[JointLoss]:
        """Small ones for the contract tests."""
        return [cls(), cls(0.5, 0.1, "utterance", "raise")]

    def forward(self, logits: JointScores, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        """Compare both scores with tokens ``(batch, tokens)``."""
        ctc = self.ctc(logits.frames, logit_lengths, tokens, token_lengths)
        entropy = self.cross_entropy(logits.labels, logit_lengths, tokens, token_lengths)
        total = self.ctc_weight * ctc.total + (1 - self.ctc_weight) * entropy.total
        return LossSum(total, entropy.weight)
