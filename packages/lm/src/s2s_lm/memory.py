"""What a Transformer remembers of earlier segments: the last positions of each row, pushed to the right end."""

from __future__ import annotations

import torch
from torch import Tensor


def remember(memory: Tensor, new: Tensor, lengths: list[int] | None, size: int) -> Tensor:
    """The last ``size`` positions of memory and new ones together, ``(batch, size, features)``; detached.

    Args:
        memory: ``(batch, past, features)``, real positions at the right end.
        new: ``(batch, time, features)``, real positions at the left end.
        lengths: real new positions of each row; None if all are.
        size: how much to keep.
    """
    if size == 0:
        return memory[:, :0].detach()
    joined = torch.cat([memory, new.detach().to(memory.dtype)], dim=1)
    if joined.size(1) < size:
        room = joined.new_zeros(len(joined), size - joined.size(1), joined.size(2))
        joined = torch.cat([room, joined], dim=1)
    if lengths is None:
        return joined[:, -size:].detach()
    ends = torch.tensor(lengths, device=joined.device) - new.size(1) + joined.size(1)
    index = (ends - size)[:, None] + torch.arange(size, device=joined.device)
    return joined.gather(1, index.clamp(min=0)[:, :, None].expand(-1, -1, joined.size(2))).detach()


def count_remembered(valid: Tensor, time: int, lengths: list[int] | None, size: int) -> Tensor:
    """How many positions of each row are real after `remember`, from how many were before (``(batch,)``)."""
    added = time if lengths is None else torch.tensor(lengths, device=valid.device)
    return (valid + added).clamp(max=size)


def visible(valid: Tensor, past: int, time: int) -> Tensor:
    """Which of ``past + time`` positions each of ``time`` new ones sees: ``(batch, 1, time, past + time)``, bool."""
    device = valid.device
    position = torch.arange(past + time, device=device)
    causal = position[None, :] <= past + torch.arange(time, device=device)[:, None]
    remembered = position[None, :] >= past - valid[:, None]
    return (causal[None] & remembered[:, None, :])[:, None]
