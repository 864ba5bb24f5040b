"""NovoGrad: gradients normalised layer by layer."""

# torch's multi-tensor functions have no public names
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from s2s_core.optim.foreach import with_gradients
from s2s_core.strategies.shards import whole_norms


class NovoGrad(Optimizer):
    """NovoGrad (Ginsburg et al., arXiv 1905.11286, algorithm 1): one second moment per parameter tensor.

    For a parameter w with gradient g::

        v = ||g||^2 at its first non-zero gradient, then beta2 * v + (1 - beta2) * ||g||^2
        d = g / sqrt(v + eps) + weight_decay * w          times (1 - beta1) with grad_averaging
        m = beta1 * m + d
        w = w - lr * m

    Weight decay is decoupled from the norm but inside the momentum, and eps stands under the root, as in
    OpenSeq2Seq; the paper adds eps outside it.

    OpenSeq2Seq never stored v, so that its published results have v = ||g||^2 at every step whatever beta2 says:
    ``second_moment_ema=False`` reproduces that. The default is the paper's moving average.

    State is kept in float32 at least, whatever the parameters' type. A step does not wait for the device.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: decay of the momentum and of the second moment.
        eps: added to the second moment.
        weight_decay: multiplies the weight within the direction.
        grad_averaging: weigh new directions by ``1 - beta1``, which makes the momentum an average.
        second_moment_ema: average the second moment over steps.

    Raises:
        ValueError: for values out of range.
        RuntimeError: in ``step``, for sparse gradients.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.01,
        betas: tuple[float, float] = (0.95, 0.98),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        grad_averaging: bool = False,
        second_moment_ema: bool = True,
    ) -> None:
        if lr < 0.0 or eps < 0.0 or weight_decay < 0.0:
            raise ValueError(f"lr, eps, weight_decay: expected numbers of at least 0, got {lr}, {eps}, {weight_decay}")
        if not (0.0 <= betas[0] < 1.0 and 0.0 <= betas[1] < 1.0):
            raise ValueError(f"betas: expected two numbers in [0, 1), got {betas}")
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "grad_averaging": grad_averaging,
            "second_moment_ema": second_moment_ema,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for params in with_gradients(group["params"]):
                self._update(params, group)
        return loss

    def _update(self, params: list[Tensor], group: dict[str, Any]) -> None:
        if any(cast(Tensor, param.grad).is_sparse for param in params):
            raise RuntimeError("NovoGrad does not take sparse gradients: build the embedding with sparse=False")
        states = [self._state_of(param) for param in params]
        momenta = [state["momentum"] for state in states]
        grads = [cast(Tensor, p.grad).to(m.dtype) for p, m in zip(params, momenta, strict=True)]
        scales = self._second_moments(params, grads, states, group).add_(group["eps"]).rsqrt_()
        beta1 = group["betas"][0]
        share = 1.0 - beta1 if group["grad_averaging"] else 1.0
        torch._foreach_mul_(momenta, beta1)
        torch._foreach_addcmul_(momenta, grads, list(scales.mul_(share).unbind()))
        if group["weight_decay"] != 0.0:
            torch._foreach_add_(momenta, params, alpha=group["weight_decay"] * share)
        torch._foreach_add_(params, momenta, alpha=-group["lr"])

    def _second_moments(
        self, params: list[Tensor], grads: list[Tensor], states: list[dict[str, Tensor]], group: dict[str, Any]
    ) -> Tensor:
        """``(params,)``: this step's v, also stored."""
        squares = whole_norms(params, grads).square_()
        if not group["second_moment_ema"]:
            return squares
        stored = [state["second_moment"] for state in states]
        old = torch.stack(stored)
        new = torch.where(old == 0.0, squares, torch.lerp(squares, old, group["betas"][1]))
        torch._foreach_copy_(stored, list(new.unbind()))
        return new

    def _state_of(self, param: Tensor) -> dict[str, Tensor]:
        state = self.state[param]
        if not state:
            dtype = _state_type(param)
            state["momentum"] = torch.zeros_like(param, dtype=dtype, memory_format=torch.preserve_format)
            state["second_moment"] = torch.zeros((), dtype=dtype, device=param.device)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        # the base class casts the state to the parameters' type, which would round ours for 16-bit parameters
        saved_ids = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        params = chain.from_iterable(group["params"] for group in self.param_groups)
        for saved_id, param in zip(saved_ids, params, strict=True):
            for key, value in state_dict["state"].get(saved_id, {}).items():
                self.state[param][key] = value.to(device=param.device, dtype=_state_type(param), copy=True)


def _state_type(param: Tensor) -> torch.dtype:
    return torch.promote_types(param.dtype, torch.float32)
