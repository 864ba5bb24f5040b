"""Texts of different lengths in one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pad_texts(ids: Sequence[Sequence[int]], eos_id: int) -> tuple[Tensor, list[int]]:
    """Tokens ``(batch, time)``, each text between two ends of line, and their lengths."""
    lengths = [len(row) + 2 for row in ids]
    tokens = torch.full((len(ids), max(lengths)), eos_id)
    for place, row in enumerate(ids):
        tokens[place, 1 : len(row) + 1] = torch.tensor(row, dtype=torch.int64)
    return tokens, lengths
