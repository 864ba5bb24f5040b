"""Products with a matrix that many steps share: its gradient is one large product, not a sum of many small ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import pad_sequence

from s2s_core.nn.linear import cast_for_autocast, product


@dataclass
class _Steps:
    """What the backward pass of each step leaves for the end: its input and the gradient of its output."""

    inputs: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)

    def taken(self) -> tuple[list[Tensor], list[Tensor]]:
        found = self.inputs, self.gradients
        self.inputs, self.gradients = [], []
        return found


class SharedProduct:
    """``x @ weight.T`` at every step of a sequence, ``weight`` ``(out, in)``, ``x`` ``(rows, in)``.

    Backpropagation through the steps gathers inputs and gradients; that of the weight is computed behind the last.
    """

    def __init__(self, weight: Tensor) -> None:
        self._matrix = _detached(weight)
        self._steps = _Steps()
        self._ticket = _ticket(weight, self._steps, _gradient_of_weight)

    def __call__(self, x: Tensor) -> Tensor:
        return _step(x, self._matrix.t(), self._ticket, self._steps)


class SharedProducts:
    """``x[i] @ matrices[i]`` at every step, for the first rows of a batch ``(batch, in, out)``, ``x`` ``(rows, in)``.

    Rows may become fewer from step to step.
    """

    def __init__(self, matrices: Tensor) -> None:
        self._matrix = _detached(matrices)
        self._steps = _Steps()
        self._ticket = _ticket(matrices, self._steps, _gradient_of_matrices)

    def __call__(self, x: Tensor) -> Tensor:
        return _step(x, self._matrix[: len(x)], self._ticket, self._steps)


def _detached(matrix: Tensor) -> Tensor:
    (cast,) = cast_for_autocast(matrix.detach())
    assert cast is not None
    return cast


def _ticket(matrix: Tensor, steps: _Steps, gradient: Callable[[Tensor, _Steps], Tensor]) -> Tensor | None:
    """A scalar that every step depends on, so that autograd comes to its node behind all of them."""
    if not (torch.is_grad_enabled() and matrix.requires_grad):
        return None
    found = _Ticket.apply(matrix, steps, gradient)
    assert isinstance(found, Tensor)
    return found


def _step(x: Tensor, matrix: Tensor, ticket: Tensor | None, steps: _Steps) -> Tensor:
    found = _Step.apply(x, matrix, ticket, steps)
    assert isinstance(found, Tensor)
    return found


def _times(x: Tensor, matrix: Tensor) -> Tensor:
    return torch.bmm(x[:, None], matrix)[:, 0] if matrix.dim() == 3 else x @ matrix


class _Ticket(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, steps: _Steps, gradient: Callable[[Tensor, _Steps], Tensor]) -> Tensor:
        ctx.like, ctx.steps, ctx.gradient = matrix.detach(), steps, gradient
        return matrix.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.gradient(ctx.like, ctx.steps).to(ctx.like.dtype), None, None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor, ticket: Tensor | None, steps: _Steps) -> Tensor:
        cast = x.to(matrix.dtype)
        ctx.save_for_backward(cast, matrix)
        ctx.steps, ctx.dtype, ctx.counted = steps, x.dtype, ticket is not None
        return _times(cast, matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, matrix = ctx.saved_tensors
        grad = grads[0].to(matrix.dtype)
        if ctx.counted:
            ctx.steps.inputs.append(x)
            ctx.steps.gradients.append(grad)
        grad_x = _times(grad, matrix.mT).to(ctx.dtype) if ctx.needs_input_grad[0] else None
        return grad_x, None, grad.new_zeros(()) if ctx.counted else None, None


def _gradient_of_weight(like: Tensor, steps: _Steps) -> Tensor:
    inputs, gradients = steps.taken()
    return product(torch.cat(gradients).t(), torch.cat(inputs).t())


def _gradient_of_matrices(like: Tensor, steps: _Steps) -> Tensor:
    inputs, gradients = (pad_sequence(parts) for parts in steps.taken())  # (most rows, steps, size)
    total = torch.zeros_like(like, dtype=gradients.dtype)
    total[: len(inputs)] = torch.bmm(inputs.mT, gradients)
    return total
