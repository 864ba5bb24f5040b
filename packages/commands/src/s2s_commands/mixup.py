"""Training on mixtures of examples: inputs and their targets, blended in pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from s2s_core.part import Part


class Blend(NamedTuple):
    """Who is mixed with whom, and how much of the first stays."""

    partner: Tensor
    """``(batch,)``, the row that each row is mixed with."""
    share: Tensor
    """``(batch,)``, float32 in [0, 1]: how much of the row itself stays."""

    def of(self, x: Tensor) -> Tensor:
        """Blend the rows of ``(batch, ...)`` floats: ``share * x + (1 - share) * x[partner]``."""
        share = self.share.to(x.dtype).view(-1, *[1] * (x.dim() - 1))
        return share * x + (1 - share) * x[self.partner]

    def longest(self, lengths: Tensor) -> Tensor:
        """``(batch,)`` lengths of blended sequences: the longer of each pair."""
        return torch.maximum(lengths, lengths[self.partner])


class Mixup(Part):
    """Mixup (Zhang et al., arXiv:1710.09412): ``x = share * x_i + (1 - share) * x_j``, and the targets alike.

    Each row has a share of its own from ``Beta(alpha, alpha)`` and a partner from a permutation of the batch; the
    authors' code draws one share a batch.

    Args:
        alpha: above 0; small values leave most examples nearly pure, 1 draws shares evenly.
        probability: of mixing a row at all.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, alpha: float = 0.2, probability: float = 1.0) -> None:
        if alpha <= 0:
            raise ValueError(f"alpha must be above 0, got {alpha}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be 0 to 1, got {probability}")
        self.alpha = alpha
        self.probability = probability

    def draw(self, batch: int, generator: Generator, device: torch.device | str = "cpu") -> Blend:
        """Draw partners and shares for a batch; the CPU ``generator`` is the only source of randomness."""
        seed = int(torch.randint(1 << 62, (), generator=generator))
        shares = torch.from_numpy(np.random.default_rng(seed).beta(self.alpha, self.alpha, batch)).float()
        mixed = torch.rand(batch, generator=generator) < self.probability
        partner = torch.randperm(batch, generator=generator)
        return Blend(partner.to(device), torch.where(mixed, shares, 1.0).to(device))
