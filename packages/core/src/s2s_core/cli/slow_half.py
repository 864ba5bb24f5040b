"""Half precision that is slower than float32, as on processors without instructions for it: said before a run."""

from __future__ import annotations

import torch

from s2s_core.cli.ceiling import matrix_product_flops

SIZE = 1024
BUDGET_S = 0.1
CLEARLY = 0.8
"""The share of float32's rate below which half precision is called slower: less than that is noise."""


def slow_half_note(precision: str, device: torch.device) -> str | None:
    """A line for a run on the host whose precision makes matrix products slower; None if it does not.

    Both rates are measured, which takes a moment, and draws no random numbers of the run's.
    """
    half = torch.bfloat16 if precision.startswith("bf16") else torch.float16 if "16" in precision else None
    if half is None or device.type != "cpu":
        return None
    halves, floats = (matrix_product_flops(dtype, device, BUDGET_S, SIZE) for dtype in (half, torch.float32))
    if halves >= CLEARLY * floats:
        return None
    name = str(half).removeprefix("torch.")
    return (
        f"matrix products in {name} have {halves / floats:.2f} of float32's rate here: precision 32-true may be faster"
    )
