"""Lengths to masks. True is valid."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(lengths: Tensor, max_length: int | None = None) -> Tensor:
    """Return a bool mask ``(batch, time)``, true where the frame is real.

    Args:
        lengths: ``(batch,)`` integers.
        max_length: the time axis of the result; the longest length if not given (a host-device synchronisation).
    """
    steps = int(lengths.max()) if max_length is None else max_length
    return torch.arange(steps, device=lengths.device)[None, :] < lengths[:, None]
