"""A sequence of vectors to one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.nn.mask import length_mask


def mean_over_time(x: Tensor, lengths: Tensor) -> Tensor:
    """Average ``(batch, time, channels)`` over each row's real frames: ``(batch, channels)``; sums in float32."""
    wide = torch.promote_types(x.dtype, torch.float32)
    total = x.masked_fill(~length_mask(lengths, x.shape[1])[..., None], 0.0).to(wide).sum(dim=1)
    return (total / lengths.clamp(min=1)[:, None]).to(x.dtype)


def in_the_middle(x: Tensor, lengths: Tensor, frames: int) -> Tensor:
    """Lay each row of ``(batch, time, channels)`` in the middle of ``frames`` frames: ``(batch, frames, channels)``.

    A shorter row gets zeros on both sides, an odd one behind; of a longer row the middle stays.
    """
    first = torch.div(lengths - frames, 2, rounding_mode="floor")
    source = first[:, None] + torch.arange(frames, device=x.device)
    # floor leaves the odd zero in front; it belongs behind
    source = source + ((frames - lengths) % 2 * (lengths < frames))[:, None]
    inside = (source >= 0) & (source < lengths[:, None])
    if x.shape[1] == 0:
        return F.pad(x, (0, 0, 0, frames))
    rows = source.clamp(0, x.shape[1] - 1)[..., None].expand(-1, -1, x.shape[2])
    return x.gather(1, rows).masked_fill(~inside[..., None], 0.0)
