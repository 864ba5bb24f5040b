"""Mixed precision: float32 weights, half-precision products, and any of our loss scales."""

from __future__ import annotations

from typing import Literal, cast

from s2s_core.precision.loss_scale import LossScale
from s2s_core.precision.scaled import HalfName, ScaledPrecision


class AutocastPrecision(ScaledPrecision):
    """torch's autocast with float32 weights (Micikevicius et al., arXiv 1710.03740), driven by our loss scales.

    Against Lightning's ``16-mixed`` and ``bf16-mixed``: fused optimizers may be clipped, the scale may be any
    `LossScale`, and a skipped step leaves running statistics and the number of steps alone. The weights are cast to
    half precision at every use; `MasterWeightsPrecision` keeps them there.

    Args:
        dtype: of products and activations.
        loss_scale: see `ScaledPrecision`.
    """

    def __init__(self, dtype: HalfName = "fp16", loss_scale: LossScale | None = None) -> None:
        super().__init__(dtype, loss_scale)
        # Lightning's type allows only its own names; it is shown, and not acted upon
        self.precision = cast(Literal["16-mixed", "bf16-mixed"], f"{dtype}-mixed")
