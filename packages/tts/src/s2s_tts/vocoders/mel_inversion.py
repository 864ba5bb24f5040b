"""Linear spectra from mel bands: the filters' inverse, which is not unique and must not be negative."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

MelInverse = Literal["pinv", "nnls"]
"""The pseudo-inverse with what is negative set to zero, or non-negative least squares."""


def check_inverse(method: str) -> None:
    """Raise ValueError if there is no such way."""
    if method not in ("pinv", "nnls"):
        raise ValueError(f"mel inverse must be pinv or nnls, got {method!r}")


def spectra_from_mel(mel: Tensor, filters: Tensor, method: MelInverse = "nnls", iterations: int = 100) -> Tensor:
    """Find spectra that the filters would sum to the given bands.

    ``nnls`` starts at ``pinv`` and descends under the constraint with Nesterov's momentum (Beck and Teboulle 2009,
    FISTA), all frames at once; each frame's result is its own.

    Args:
        mel: ``(..., mels)`` magnitudes or powers, not logarithms.
        filters: ``(bins, mels)``, see `s2s_core.audio.mel.mel_filters`.
        method: see `MelInverse`.
        iterations: of ``nnls``.

    Returns:
        ``(..., bins)``, at least 0.

    Raises:
        ValueError: if the method is unknown or the numbers of bands differ.
    """
    check_inverse(method)
    if mel.size(-1) != filters.size(1):
        raise ValueError(f"there are {mel.size(-1)} mel bands, but the filters have {filters.size(1)}")
    # the pseudo-inverse of narrow neighbouring filters is ill-conditioned in float32
    inverse = torch.linalg.pinv(filters.double()).to(mel)
    spectra = (mel @ inverse).clamp(min=0.0)
    return spectra if method == "pinv" else _descend(mel, filters.to(mel), spectra, iterations)


def _descend(mel: Tensor, filters: Tensor, spectra: Tensor, iterations: int) -> Tensor:
    step = 1.0 / float(torch.linalg.matrix_norm(filters.double(), ord=2)) ** 2
    ahead, weight = spectra, 1.0
    for _ in range(iterations):
        before = spectra
        residual = ahead @ filters - mel
        spectra = (ahead - step * (residual @ filters.t())).clamp(min=0.0)
        next_weight = (1.0 + (1.0 + 4.0 * weight * weight) ** 0.5) / 2.0
        ahead = spectra + (weight - 1.0) / next_weight * (spectra - before)
        weight = next_weight
    return spectra
