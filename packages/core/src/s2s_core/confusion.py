"""What a classifier takes for what: totals, exact for any batches and processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class Confusion(Metric):
    """Counts of true class (rows) against the class given (columns); unlabelled examples (-1) do not count.

    Args:
        num_classes: how many classes.
    """

    full_state_update = False
    is_differentiable = False
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("counts", torch.zeros(num_classes, num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, given: Tensor, true: Tensor) -> None:
        """Add examples: the classes given and the true ones, both ``(batch,)``."""
        known = true >= 0
        cells = true[known] * self.num_classes + given[known]
        self.counts += torch.bincount(cells, minlength=self.num_classes**2).view_as(self.counts)

    def compute(self) -> Tensor:
        """Return the counts ``(classes, classes)``, int64."""
        return self.counts.clone()
