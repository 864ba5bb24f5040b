"""The precision in which a trained model is used: float32, or bfloat16 where autocast allows it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["32-true", "bf16"]


def check_precision(precision: str) -> None:
    """Check what a caller asks for.

    Raises:
        ValueError: if it is no `Precision`.
    """
    if precision not in ("32-true", "bf16"):
        raise ValueError(f"precision must be '32-true' or 'bf16', got {precision!r}")


def autocast(precision: Precision, device_type: str) -> AbstractContextManager[object]:
    """The context in which a model computes: bfloat16 autocast, or none."""
    return nullcontext() if precision == "32-true" else torch.autocast(device_type, dtype=torch.bfloat16)
