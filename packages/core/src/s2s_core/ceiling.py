"""Division that rounds up, of numbers, arrays and tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Count = TypeVar("Count", int, "np.ndarray", "Tensor")
"""Whole numbers."""


def ceil_div(count: Count, size: int) -> Count:
    """How many groups of ``size`` hold ``count``, the last one perhaps not full."""
    return -(-count // size)


def round_up(count: Count, multiple: int) -> Count:
    """The smallest multiple that is no less than ``count``."""
    return ceil_div(count, multiple) * multiple
