"""What a classifier gets right and wrong, from one matrix of counts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CELL = 24
"""Pixels of a cell of the picture."""


def figures(counts: Tensor) -> dict[str, float]:
    """Accuracy, and precision, recall and F1: of class 1 where there are two classes, else their mean over classes.

    A class that is never given has precision 0, one that never occurs has recall 0.
    """
    counts = counts.double()
    right, given, true = counts.diagonal(), counts.sum(0), counts.sum(1)
    precision, recall = right / given.clamp(min=1), right / true.clamp(min=1)
    f1 = 2 * right / (given + true).clamp(min=1)
    which = slice(1, 2) if len(counts) == 2 else slice(None)
    named = {"precision": precision, "recall": recall, "f1": f1}
    accuracy = float(right.sum() / counts.sum().clamp(min=1))
    return {"accuracy": accuracy, **{name: float(value[which].mean()) for name, value in named.items()}}


def picture(counts: Tensor) -> np.ndarray:
    """The matrix as a picture ``(height, width, 3)``, uint8: a row is a true class, darker a larger share of it."""
    shares = counts.float() / counts.sum(1, keepdim=True).clamp(min=1)
    cells = shares.repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)
    colours = torch.stack([1 - cells, 1 - 0.7 * cells, 1 - 0.3 * cells], dim=-1)
    return (255 * colours).round().byte().numpy()
