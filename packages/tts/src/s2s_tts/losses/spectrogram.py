"""The distance of a predicted spectrogram, its stop token and its alignment from what they should be."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.losses.reduction import LossSum
from s2s_core.nn.cells import wide
from s2s_core.nn.mask import length_mask
from s2s_tts.interfaces import Loss, Prediction, Spectrogram, SynthesisLoss


class SpectrogramLoss(Loss):
    """Distances of mel before and after the post-net and of the linear spectrum, stop token, guided attention.

    A frame's distance is the mean over its bands, a batch's the mean over real frames; the stop token's cross entropy
    and the attention's penalty are means over steps. OpenSeq2Seq's loss is this without guidance, but for its stop
    token, which was to be 1 in the padding too.

    Guided attention (Tachibana et al. 2017, arXiv 1710.08969, section 4): weights cost ``1 - exp(-(n/N - t/T)^2 / 2
    g^2)``, which draws attention to the diagonal; padding counts neither in ``N`` nor in ``T``.

    Args:
        distance: squared (Tacotron 2) or absolute (Centaur) difference.
        mel_weight, magnitude_weight, stop_weight: of the parts.
        stop_positive_weight: of the last step among all others in the stop token's cross entropy.
        guide_weight: of guided attention; 0 is off.
        guide_width: ``g``.
    """

    def __init__(
        self,
        distance: Literal["squared", "absolute"] = "squared",
        mel_weight: float = 1.0,
        magnitude_weight: float = 1.0,
        stop_weight: float = 1.0,
        stop_positive_weight: float = 1.0,
        guide_weight: float = 0.0,
        guide_width: float = 0.2,
    ) -> None:
        super().__init__()
        if distance not in ("squared", "absolute"):
            raise ValueError(f"distance must be 'squared' or 'absolute', got {distance!r}")
        if guide_width <= 0:
            raise ValueError(f"guide_width must be above 0, got {guide_width}")
        self.distance = distance
        self.mel_weight = mel_weight
        self.magnitude_weight = magnitude_weight
        self.stop_weight = stop_weight
        self.stop_positive_weight = stop_positive_weight
        self.guide_weight = guide_weight
        self.guide_width = guide_width

    @classmethod
    def examples(cls) -> list[SpectrogramLoss]:
        """Small ones for the contract tests."""
        return [cls(), cls("absolute", 0.5, 2.0, 3.0, 5.0, 10.0, 0.3)]

    def forward(self, prediction: Prediction, target: Spectrogram, token_lengths: Tensor) -> SynthesisLoss:
        real = length_mask(target.lengths, target.mel.shape[1])
        frames = target.lengths.sum()
        factor, step_lengths = prediction.reduction_factor, prediction.step_lengths
        parts = {
            "mel": self.mel_weight * self._frames(prediction.spectrogram.mel, target.mel, real),
            "stop": self.stop_weight * factor * self._stop(prediction.stop_logits, step_lengths),
        }
        if prediction.coarse is not None:
            parts["coarse"] = self.mel_weight * self._frames(prediction.coarse, target.mel, real)
        if prediction.spectrogram.magnitude is not None and target.magnitude is not None:
            magnitude = self._frames(prediction.spectrogram.magnitude, target.magnitude, real)
            parts["magnitude"] = self.magnitude_weight * magnitude
        if self.guide_weight:
            penalty = guided_attention(prediction.alignments, step_lengths, token_lengths, self.guide_width)
            parts["guide"] = self.guide_weight * factor * penalty
        total = torch.stack(list(parts.values())).sum()
        return SynthesisLoss(LossSum(total, frames.to(total.dtype)), parts)

    def _frames(self, predicted: Tensor, target: Tensor, real: Tensor) -> Tensor:
        difference = wide(predicted) - target
        distance = difference.square() if self.distance == "squared" else difference.abs()
        return distance.mean(2).masked_fill(~real, 0.0).sum()

    def _stop(self, logits: Tensor, step_lengths: Tensor) -> Tensor:
        place = torch.arange(logits.shape[1], device=logits.device)
        last = (place == step_lengths[:, None] - 1).to(torch.float32)
        weight = last.new_full((), self.stop_positive_weight)
        losses = F.binary_cross_entropy_with_logits(wide(logits), last, reduction="none", pos_weight=weight)
        return losses.masked_fill(place >= step_lengths[:, None], 0.0).sum()


def guided_attention(alignments: Tensor, step_lengths: Tensor, token_lengths: Tensor, width: float) -> Tensor:
    """Sum over real steps of the weights' penalty for being far from the diagonal.

    Args:
        alignments: ``(batch, steps, tokens)``.
        step_lengths, token_lengths: ``(batch,)``.
        width: ``g`` of `SpectrogramLoss`.
    """
    steps, tokens = (torch.arange(size, device=alignments.device) for size in alignments.shape[1:])
    down = steps[:, None] / step_lengths[:, None, None]
    across = tokens[None, :] / token_lengths[:, None, None]
    penalty = 1 - torch.exp(-(across - down).square() / (2 * width * width))
    real = (steps[:, None] < step_lengths[:, None, None]) & (tokens < token_lengths[:, None, None])
    return (wide(alignments) * penalty).masked_fill(~real, 0.0).sum()
