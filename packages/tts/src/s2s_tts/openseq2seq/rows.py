"""Lists of convolutions that are all of one size, as the models of this package have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from s2s_core.errors import UserError


@dataclass(frozen=True)
class Convolutions:
    """How many there are, and of what size."""

    count: int
    channels: int
    kernel: int


def alike(key: str, rows: list[dict[str, Any]]) -> Convolutions:
    """The size that all rows have.

    Raises:
        UserError: if there are none, or they differ.
    """
    sizes = {(row["num_channels"], tuple(row["kernel_size"])) for row in rows}
    if len(sizes) != 1:
        raise UserError(f"{key}: expected convolutions of one size, found {len(sizes)}")
    channels, kernel = sizes.pop()
    return Convolutions(len(rows), channels, kernel[0])
