"""Running statistics as they were before a step, for the case that it is skipped."""

# torch's multi-tensor functions have no public names
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import torch
from torch import Tensor, nn


class RunningStatistics:
    """Copies of what a forward pass changes in a module: the buffers of batch norms, and any other that changes.

    Buffers named ``running_...`` and ``num_batches_tracked`` are copied every time, because torch's batch norm changes
    them without a trace; others only when they have changed since the last copy.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Tensor, Tensor, int]] = {}

    @torch.no_grad()
    def remember(self, module: nn.Module) -> None:
        """Copy what may have changed since the last call."""
        fresh: list[str] = []
        found: dict[str, Tensor] = {}
        for name, buffer in module.named_buffers():
            found[name] = buffer
            kept = self._kept.get(name)
            own_name = name.rpartition(".")[2]
            tracked = own_name.startswith("running_") or own_name == "num_batches_tracked"
            if kept is None or kept[0] is not buffer or tracked or kept[2] != buffer._version:
                fresh.append(name)
        self._kept = {name: kept for name, kept in self._kept.items() if name in found}
        for name in fresh:
            buffer, kept = found[name], self._kept.get(name)
            reusable = kept is not None and kept[0] is buffer and kept[1].shape == buffer.shape
            copy = kept[1] if kept is not None and reusable else torch.empty_like(buffer)
            self._kept[name] = (buffer, copy, buffer._version)
        _copy([self._kept[name][1] for name in fresh], [found[name] for name in fresh])

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back as it was at the last `remember`."""
        _copy([buffer for buffer, _, _ in self._kept.values()], [copy for _, copy, _ in self._kept.values()])


def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    if targets:
        torch._foreach_copy_(targets, sources)
