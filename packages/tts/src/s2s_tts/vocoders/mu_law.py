"""Samples to and from levels that are finer where they are quiet (ITU-T G.711's mu-law, without its tables)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mu_law_encode(audio: Tensor, levels: int) -> Tensor:
    """Audio in [-1, 1], clamped to it, to int64 levels 0 to ``levels - 1``; silence is ``levels // 2``."""
    mu = levels - 1
    squeezed = audio.sign() * torch.log1p(mu * audio.abs().clamp(max=1.0)) / math.log1p(mu)
    return ((squeezed + 1) / 2 * mu + 0.5).floor().long()


def mu_law_decode(indices: Tensor, levels: int) -> Tensor:
    """Levels to float32 audio in [-1, 1]."""
    mu = levels - 1
    squeezed = indices.float() * (2 / mu) - 1
    return squeezed.sign() * torch.expm1(squeezed.abs() * math.log1p(mu)) / mu
