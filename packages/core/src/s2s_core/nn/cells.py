"""The steps of GRU and LSTM cells and of their gradients, in torch operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor


@dataclass
class Steps:
    """When one direction of a layer computes which frames."""

    batch_sizes: list[int]
    """Active rows at each step."""
    reverse: bool
    offsets: list[int] = field(init=False)
    """The first frame of each step."""

    def __post_init__(self) -> None:
        self.offsets = list(accumulate(self.batch_sizes[:-1], initial=0))

    def ordered(self, backward: bool = False) -> Iterator[tuple[int, slice]]:
        """The number of active rows of each step and its frames, in the order of computation."""
        turns = list(zip(self.batch_sizes, self.offsets, strict=True))
        for rows, offset in reversed(turns) if self.reverse != backward else turns:
            yield rows, slice(offset, offset + rows)


@dataclass
class Kept:
    """What the gradient of a direction needs of its forward pass, a row a frame."""

    previous: Tensor
    """``(frames, hidden)``: the hidden state before."""
    activations: Tensor
    """``(frames, 4 * hidden)``: reset, update, new, recurrent share of new (GRU); in, forget, new, out (LSTM)."""
    previous_cell: Tensor | None
    """``(frames, hidden)``: an LSTM's cell before."""


@dataclass
class ForwardPass:
    """One direction's inputs, ``(frames, ...)`` in packed order, and where its results go."""

    steps: Steps
    gates: Tensor
    weight: Tensor
    bias: Tensor
    outputs: Tensor
    hidden: Tensor
    """``(batch, hidden)``: the initial state, replaced by the one at each row's end."""
    cell: Tensor | None
    kept: Kept | None
    """Filled in where a gradient is wanted."""


@dataclass
class BackwardPass:
    """One direction's gradients."""

    steps: Steps
    weight: Tensor
    kept: Kept
    grad_outputs: Tensor
    grad_hidden: Tensor
    """``(batch, hidden)``: of the state at each row's end, replaced by that of the initial state."""
    grad_cell: Tensor | None
    grad_gates: Tensor
    """``(frames, 3 or 4 * hidden)``, of the inputs' share of the gates; filled in."""
    grad_recurrent: Tensor
    """Of the recurrent share: the same tensor in an LSTM, which adds both shares of every gate."""


class Cells(Protocol):
    """Runs the steps of all directions of a layer, and of its gradient."""

    def forward(self, directions: list[ForwardPass]) -> None:
        """Fill in outputs, final states and what is kept."""

    def backward(self, directions: list[BackwardPass]) -> None:
        """Fill in the gradients of gates and initial states."""


class GruCells:
    """``r, z = sigmoid; n = tanh(x_n + r * h_n); h = (1 - z) * n + z * h``."""

    def forward(self, directions: list[ForwardPass]) -> None:
        for direction in directions:
            weight = direction.weight.t()
            hidden, kept = direction.hidden, direction.kept
            for rows, frames in direction.steps.ordered():
                before = hidden[:rows]
                recurrent = (before.to(weight.dtype) @ weight).to(before.dtype) + direction.bias
                x_gates, x_new = direction.gates[frames].tensor_split((2 * hidden.size(1),), dim=1)
                h_gates, h_new = recurrent.tensor_split((2 * hidden.size(1),), dim=1)
                reset, update = torch.sigmoid(x_gates + h_gates).chunk(2, dim=1)
                new = torch.tanh(x_new + reset * h_new)
                if kept is not None:
                    kept.previous[frames] = before
                    torch.cat((reset, update, new, h_new), dim=1, out=kept.activations[frames])
                before.copy_(torch.lerp(new, before, update))
                direction.outputs[frames] = before

    def backward(self, directions: list[BackwardPass]) -> None:
        for direction in directions:
            weight, grad, kept = direction.weight, direction.grad_hidden, direction.kept
            for rows, frames in direction.steps.ordered(backward=True):
                reset, update, new, h_new = kept.activations[frames].chunk(4, dim=1)
                total = grad[:rows] + direction.grad_outputs[frames]
                d_update = total * (kept.previous[frames] - new) * update * (1 - update)
                d_new = total * (1 - update) * (1 - new * new)
                d_reset = d_new * h_new * reset * (1 - reset)
                recurrent = direction.grad_recurrent[frames]
                torch.cat((d_reset, d_update, d_new), dim=1, out=direction.grad_gates[frames])
                torch.cat((d_reset, d_update, d_new * reset), dim=1, out=recurrent)
                grad[:rows] = (recurrent.to(weight.dtype) @ weight).to(grad.dtype) + total * update


class LstmCells:
    """``i, f, o = sigmoid; g = tanh; c = f * c + i * g; h = o * tanh(c)``."""

    def forward(self, directions: list[ForwardPass]) -> None:
        for direction in directions:
            weight = direction.weight.t()
            hidden, cell, kept = direction.hidden, direction.cell, direction.kept
            assert cell is not None
            for rows, frames in direction.steps.ordered():
                before = hidden[:rows]
                recurrent = (before.to(weight.dtype) @ weight).to(before.dtype) + direction.bias
                x_in, x_forget, x_new, x_out = (direction.gates[frames] + recurrent).chunk(4, dim=1)
                let_in, forget, let_out = torch.sigmoid(x_in), torch.sigmoid(x_forget), torch.sigmoid(x_out)
                new = torch.tanh(x_new)
                if kept is not None and kept.previous_cell is not None:
                    kept.previous[frames] = before
                    kept.previous_cell[frames] = cell[:rows]
                    torch.cat((let_in, forget, new, let_out), dim=1, out=kept.activations[frames])
                cell[:rows] = forget * cell[:rows] + let_in * new
                before.copy_(let_out * torch.tanh(cell[:rows]))
                direction.outputs[frames] = before

    def backward(self, directions: list[BackwardPass]) -> None:
        for direction in directions:
            weight, grad, grad_cell, kept = direction.weight, direction.grad_hidden, direction.grad_cell, direction.kept
            assert grad_cell is not None
            assert kept.previous_cell is not None
            for rows, frames in direction.steps.ordered(backward=True):
                let_in, forget, new, let_out = kept.activations[frames].chunk(4, dim=1)
                before = kept.previous_cell[frames]
                squashed = torch.tanh(forget * before + let_in * new)
                total = grad[:rows] + direction.grad_outputs[frames]
                d_cell = grad_cell[:rows] + total * let_out * (1 - squashed * squashed)
                d_in = d_cell * new * let_in * (1 - let_in)
                d_forget = d_cell * before * forget * (1 - forget)
                d_new = d_cell * let_in * (1 - new * new)
                d_out = total * squashed * let_out * (1 - let_out)
                recurrent = torch.cat((d_in, d_forget, d_new, d_out), dim=1)
                direction.grad_gates[frames] = recurrent
                grad[:rows] = (recurrent.to(weight.dtype) @ weight).to(grad.dtype)
                grad_cell[:rows] = d_cell * forget


CELLS: dict[str, Cells] = {"gru": GruCells(), "lstm": LstmCells()}


def gru_step(gates: Tensor, recurrent: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One differentiable step of a GRU.

    Args:
        gates: the input's share of reset, update and new, bias included, ``(rows, 3 * hidden)``.
        recurrent: the state's share, likewise.
        state: ``(hidden,)``, ``(rows, hidden)``.

    Returns:
        the new state, in the dtype of the old one.
    """
    (before,) = state
    size = 2 * before.size(1)
    reset, update = torch.sigmoid(wide(gates)[:, :size] + wide(recurrent)[:, :size]).chunk(2, dim=1)
    new = torch.tanh(wide(gates)[:, size:] + reset * wide(recurrent)[:, size:])
    return (torch.lerp(new, wide(before), update).to(before.dtype),)


def lstm_step(gates: Tensor, recurrent: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One differentiable step of an LSTM: as `gru_step`, of in, forget, new and out, on ``(hidden, cell)``."""
    before, cell = state
    x_in, x_forget, x_new, x_out = (wide(gates) + wide(recurrent)).chunk(4, dim=1)
    after = torch.sigmoid(x_forget) * wide(cell) + torch.sigmoid(x_in) * torch.tanh(x_new)
    hidden = torch.sigmoid(x_out) * torch.tanh(after)
    return hidden.to(before.dtype), after.to(cell.dtype)


def wide(x: Tensor) -> Tensor:
    """Float16 and bfloat16 to float32; others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
