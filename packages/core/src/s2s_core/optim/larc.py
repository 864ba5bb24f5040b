"""LARC: each tensor's update held in proportion to its weights."""

# torch's multi-tensor functions have no public names
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

from s2s_core.optim.foreach import with_gradients
from s2s_core.part import Part
from s2s_core.strategies.shards import whole_norms


class Larc(Part):
    """Layer-wise adaptive rate (You et al., arXiv 1708.03888), clipped or scaling, on the gradients in place.

    With norms over each parameter tensor w and its gradient g, in float32::

        clip:   g *= min(1, max(eta * ||w|| / (lr * (||g|| + epsilon)), min_update))
        scale:  g *= max(eta * ||w|| / (||g|| + epsilon), min_update)

    Called after unscaling, regularisation and clipping, before the optimizer's step, with the step's learning rate
    in the groups. As in OpenSeq2Seq, biases and norms take part: a tensor that starts at zero gets ``min_update``
    of its gradient, and so all but rests in a short training; a larger ``min_update`` lets it move. Where the rate
    is 0, as in the first step of a warm-up, clip leaves the gradients as they are.

    Does not wait for the device.

    Args:
        eta: trust: the share of its norm by which a tensor may change in a step.
        mode: bound the update, or set it.
        min_update: smallest factor.
        epsilon: added to the gradient's norm.
    """

    def __init__(
        self,
        eta: float,
        mode: Literal["clip", "scale"] = "clip",
        min_update: float = 1e-7,
        epsilon: float = 1e-7,
    ) -> None:
        if eta <= 0.0 or min_update < 0.0 or epsilon < 0.0:
            raise ValueError(
                f"eta: expected above 0; min_update, epsilon: expected at least 0; got {eta}, {min_update}, {epsilon}"
            )
        if mode not in ("clip", "scale"):
            raise ValueError(f"mode: expected 'clip' or 'scale', got {mode!r}")
        self.eta, self.mode, self.min_update, self.epsilon = eta, mode, min_update, epsilon

    @torch.no_grad()
    def __call__(self, optimizer: Optimizer) -> None:
        """Scale the gradients of the optimizer's parameters."""
        for group in optimizer.param_groups:
            lr = float(group["lr"])
            if self.mode == "clip" and lr == 0.0:
                continue
            for params in with_gradients(group["params"]):
                grads = [cast(Tensor, param.grad) for param in params]
                torch._foreach_mul_(grads, list(self._factors(params, grads, lr).unbind()))

    def _factors(self, params: list[Tensor], grads: list[Tensor], lr: float) -> Tensor:
        dtype = torch.promote_types(params[0].dtype, torch.float32)
        weight_norms = whole_norms(params, params, dtype)
        grad_norms = whole_norms(params, grads, dtype)
        step_norms = grad_norms + self.epsilon
        if self.mode == "clip":
            step_norms = step_norms * lr
        factors = (self.eta * weight_norms / step_norms).clamp(min=self.min_update)
        return factors.clamp(max=1.0) if self.mode == "clip" else factors
