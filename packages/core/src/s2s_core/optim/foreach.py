"""Parameters sorted into the lists that torch's multi-tensor functions take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor


def with_gradients(params: Iterable[Tensor]) -> list[list[Tensor]]:
    """Return the parameters that have gradients: one list a device and type, in order."""
    lists: dict[tuple[torch.device, torch.dtype], list[Tensor]] = defaultdict(list)
    for param in params:
        if param.grad is not None:
            lists[param.device, param.dtype].append(param)
    return list(lists.values())
