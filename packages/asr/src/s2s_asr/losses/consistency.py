"""Agreement between two augmented views of the same utterances."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.nn.cells import wide
from s2s_core.nn.mask import length_mask
from s2s_core.part import Part


class Consistency(Part):
    """Consistency regularisation of CTC (CR-CTC; Yao et al. 2024, arXiv:2410.05101, section 3.2).

    Each training utterance is seen twice in its batch, with masks and dropout of its own, and the two distributions
    over labels are drawn to each other at every frame: half of ``KL(q_2 || q_1) + KL(q_1 || q_2)``, where the first
    of a divergence is a fixed target through which no gradient flows. A small corpus gains most.

    The paper doubles the epoch's cost and halves the epochs; so may a recipe. What changes the number of frames (speed
    perturbation) is drawn once for both views.

    Args:
        weight: of the divergence beside the loss itself (the paper's alpha).

    Raises:
        ValueError: if the weight is negative.
    """

    def __init__(self, weight: float = 0.2) -> None:
        if weight < 0:
            raise ValueError(f"weight must not be negative, got {weight}")
        self.weight = weight

    @staticmethod
    def views(tensor: Tensor) -> Tensor:
        """Two copies of a batch, one after the other: ``(2 * batch, ...)``."""
        return torch.cat([tensor, tensor])

    def __call__(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """The weighted divergence, summed over real frames and both views; scalar, float32.

        Args:
            logits: ``(2 * batch, time, labels)``, as made from `views`.
            lengths: ``(2 * batch,)`` frames.
        """
        with torch.autocast(logits.device.type, enabled=False):
            log_probs = F.log_softmax(wide(logits), dim=-1)
            other = torch.cat(log_probs.chunk(2)[::-1]).detach()
            divergence = F.kl_div(log_probs, other, reduction="none", log_target=True).sum(dim=-1)
            # the mean over the two directions, then the sum over two views that each hold one loss
            return self.weight * divergence.masked_fill(~length_mask(lengths, logits.shape[1]), 0.0).sum()
