"""The loss of a step as one average over all ranks and micro-batches, not an average of averages."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

from s2s_core.losses.reduction import LossSum


class GlobalMean:
    """Weights the losses of one optimizer step so that their gradient is that of ``sum(totals) / sum(weights)``.

    Ranks and micro-batches hold different numbers of tokens, but trainers average their gradients as equals. So each
    loss is divided not by its own weight but by a reference that is the same everywhere: the mean weight of a rank in
    the step's first micro-batch. The result keeps the size of a mean, whatever the loss scale and the half type. With
    one micro-batch a step that is exact already. With more, the weights of the later ones are not known in time, and
    `correction` says by what the summed gradients are to be multiplied once.

    Weights are summed by an all-reduce of two numbers, on the device: the host waits for nothing.
    """

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        self._reference: Tensor | None = None
        self._micro_batches = 0

    def begin(self) -> None:
        """Forget the last step."""
        self._sums, self._reference, self._micro_batches = None, None, 0

    def add(self, loss: LossSum) -> Tensor:
        """Take a micro-batch's loss; every rank calls this once for each.

        Returns:
            the number to differentiate, given that trainers divide gradients by the number of ranks and of
            micro-batches.
        """
        dtype = torch.promote_types(loss.total.dtype, torch.float32)
        sums = torch.stack([loss.total.detach().to(dtype), loss.weight.to(loss.total.device, dtype)])
        ranks = _ranks()
        if ranks > 1:
            distributed.all_reduce(sums)
        self._sums = sums if self._sums is None else self._sums + sums
        self._micro_batches += 1
        if self._reference is None:
            self._reference = sums[1].clamp(min=1) / ranks
        return loss.total / self._reference

    @property
    def value(self) -> Tensor | None:
        """The step's loss over everything added so far; None before anything is."""
        return None if self._sums is None else self._sums[0] / self._sums[1].clamp(min=1)

    def correction(self, divided_by: int) -> Tensor | None:
        """The factor of the step's gradients; None if that is 1 by construction.

        Args:
            divided_by: the trainer's ``accumulate_grad_batches``, by which it has divided each loss even where an
                epoch's last step has fewer micro-batches.
        """
        if self._sums is None or self._reference is None or (self._micro_batches == 1 and divided_by == 1):
            return None
        return self._reference * (divided_by * _ranks()) / self._sums[1].clamp(min=1)


def _ranks() -> int:
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
