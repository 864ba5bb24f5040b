"""How often a classifier is right, and what it takes for what: totals, exact for any batches and processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

_WHITE, _BLACK = 255, 0
_DEEPEST = np.array([8.0, 48.0, 107.0])
"""The colour of a share of 1; white is 0."""
_DIGIT_WIDTH, _LINE_HEIGHT = 6, 11
"""Of the drawing library's own font, pixels."""


class TopAccuracy(Metric):
    """The share of examples whose class is among the ``top`` highest scores; unlabelled ones (-1) do not count.

    Args:
        top: how many guesses are allowed; at least 1.

    Raises:
        ValueError: if there are none.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    right: Tensor
    count: Tensor

    def __init__(self, top: int = 1) -> None:
        super().__init__()
        if top < 1:
            raise ValueError(f"top must be at least 1, got {top}")
        self.top = top
        self.add_state("right", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add examples: logits ``(batch, classes)`` and labels ``(batch,)``."""
        best = logits.topk(min(self.top, logits.shape[1]), dim=1).indices
        known = labels >= 0
        self.right += ((best == labels[:, None]).any(dim=1) & known).sum()
        self.count += known.sum()

    def compute(self) -> Tensor:
        """Return the share, a scalar; 0 where nothing was labelled."""
        return self.right / self.count.clamp(min=1)


def draw_confusion(counts: Tensor, classes: Sequence[str], cell: int = 26) -> np.ndarray:
    """Draw counts ``(classes, classes)``: a picture ``(height, width, 3)``, uint8.

    Rows are true classes and sum to one shade; columns are what was answered, in the same order. Counts are written
    into the cells and names beside the rows while there are 40 classes or fewer.
    """
    from PIL import Image, ImageDraw  # with torchvision, and only where a picture is asked for

    few = len(classes) <= 40
    size = cell if few else max(1, 1024 // len(classes))
    left = 8 + _DIGIT_WIDTH * max(len(name) for name in classes) if few else 0
    shares = (counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1)).cpu().numpy()
    colours = _WHITE - shares[..., None] * (_WHITE - _DEEPEST)
    squares = colours.round().astype(np.uint8).repeat(size, axis=0).repeat(size, axis=1)
    image = Image.new("RGB", (left + squares.shape[1], squares.shape[0]), (_WHITE,) * 3)
    image.paste(Image.fromarray(squares), (left, 0))
    if few:
        pen = ImageDraw.Draw(image)
        down = (size - _LINE_HEIGHT) // 2
        for row, name in enumerate(classes):
            pen.text((4, row * size + down), name, fill=(_BLACK,) * 3)
            for column in range(len(classes)):
                text = str(int(counts[row, column]))
                if text != "0":
                    shade = _WHITE if shares[row, column] > 0.5 else _BLACK
                    across = left + column * size + (size - _DIGIT_WIDTH * len(text)) // 2
                    pen.text((across, row * size + down), text, fill=(shade,) * 3)
    return np.asarray(image)
