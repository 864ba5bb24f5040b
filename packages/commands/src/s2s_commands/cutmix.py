"""Training on pictures with a box of another picture in them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from s2s_core.part import Part


class CutMix(Part):
    """CutMix (Yun et al. 2019, arXiv 1905.04899): a box of each image comes from another, and so much of the target.

    The box has ``1 - share`` of the area with ``share`` from ``Beta(alpha, alpha)`` and its middle anywhere, so that
    the border may cut it; targets follow the area that is left. One box a batch, partners by a permutation.

    Args:
        alpha: above 0; 1 draws areas evenly.
        probability: of cutting a batch at all.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, alpha: float = 1.0, probability: float = 1.0) -> None:
        if alpha <= 0:
            raise ValueError(f"alpha must be above 0, got {alpha}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be 0 to 1, got {probability}")
        self.alpha, self.probability = alpha, probability

    @classmethod
    def examples(cls) -> list[CutMix]:
        """Small ones for the contract tests."""
        return [cls(), cls(0.5, 0.5)]

    def __call__(self, images: Tensor, targets: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mix images ``(batch, channels, height, width)`` and targets ``(batch, classes)``.

        The CPU ``generator`` is the only source of randomness.
        """
        seed = int(torch.randint(1 << 62, (), generator=generator))
        partner = torch.randperm(len(images), generator=generator).to(images.device)
        rng = np.random.default_rng(seed)
        if rng.random() >= self.probability:
            return images, targets
        height, width = images.shape[2:]
        side = (1 - rng.beta(self.alpha, self.alpha)) ** 0.5
        top, bottom = _interval(int(rng.integers(height)), side * height, height)
        left, right = _interval(int(rng.integers(width)), side * width, width)
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
        return mixed, share * targets + (1 - share) * targets[partner]


def _interval(middle: int, length: float, limit: int) -> tuple[int, int]:
    half = length / 2
    return max(0, round(middle - half)), min(limit, round(middle + half))
