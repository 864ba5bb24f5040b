"""The steps of GRU and LSTM cells and of their gradients, in torch operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor


class Direction:
    """One direction of a recurrent layer: its inputs, its running state and what its gradient needs.

    Every tensor is ``(frames, ...)`` in packed order, or ``(batch, hidden)`` for states. ``activations`` holds the
    gates after their nonlinearity: reset, update, new and the recurrent share of new (GRU), or input, forget, new and
    output (LSTM).
    """

    def __init__(
        self,
        gates: Tensor,
        weight: Tensor,
        bias: Tensor,
        outputs: Tensor,
        state: tuple[Tensor, ...],
        batch_sizes: list[int],
        offsets: list[int],
        reverse: bool,
        keep: bool,
    ) -> None:
        self.gates, self.weight, self.bias = gates, weight, bias
        self.outputs = outputs
        self.state = state
        self.batch_sizes, self.offsets, self.reverse, self.keep = batch_sizes, offsets, reverse, keep
        frames, hidden = gates.size(0), weight.size(1)
        kept = frames if keep else 0
        self.previous = gates.new_empty(kept, hidden)
        self.previous_cell = gates.new_empty(kept, hidden) if len(state) > 1 else None
        self.activations = gates.new_empty(kept, 4 * hidden)

    def begin_backward(self, grad_outputs: Tensor, grad_state: tuple[Tensor, ...]) -> None:
        self.grad_outputs = grad_outputs
        self.grad_state = grad_state
        self.grad_gates = torch.empty_like(self.gates)
        # an LSTM adds both shares of a gate, so their gradients are one
        self.grad_recurrent = torch.empty_like(self.gates) if self.previous_cell is None else self.grad_gates

    def steps(self, backward: bool = False) -> Iterator[tuple[int, slice]]:
        """The number of active rows of each step and its frames, in the order of computation."""
        order = range(len(self.batch_sizes))
        for step in reversed(order) if self.reverse != backward else order:
            yield self.batch_sizes[step], slice(self.offsets[step], self.offsets[step + 1])


class Cells(Protocol):
    """Runs the steps of all directions of a layer, and of its gradient."""

    def forward(self, directions: list[Direction]) -> None:
        """Fill outputs, final state and, where the direction keeps them, what the gradient needs."""

    def backward(self, directions: list[Direction]) -> None:
        """Turn ``grad_state`` into the initial state's gradient; fill ``grad_gates`` and ``grad_recurrent``."""


class GruCells:
    """``r, z = sigmoid; n = tanh(x_n + r * h_n); h = (1 - z) * n + z * h``."""

    def forward(self, directions: list[Direction]) -> None:
        for direction in directions:
            weight = direction.weight.t()
            (hidden,) = direction.state
            for rows, frames in direction.steps():
                before = hidden[:rows]
                recurrent = (before.to(weight.dtype) @ weight).to(before.dtype) + direction.bias
                x_gates, x_new = direction.gates[frames].tensor_split((2 * hidden.size(1),), dim=1)
                h_gates, h_new = recurrent.tensor_split((2 * hidden.size(1),), dim=1)
                reset, update = torch.sigmoid(x_gates + h_gates).chunk(2, dim=1)
                new = torch.tanh(x_new + reset * h_new)
                if direction.keep:
                    direction.previous[frames] = before
                    torch.cat((reset, update, new, h_new), dim=1, out=direction.activations[frames])
                before.copy_(torch.lerp(new, before, update))
                direction.outputs[frames] = before

    def backward(self, directions: list[Direction]) -> None:
        for direction in directions:
            weight = direction.weight
            (grad,) = direction.grad_state
            for rows, frames in direction.steps(backward=True):
                reset, update, new, h_new = direction.activations[frames].chunk(4, dim=1)
                total = grad[:rows] + direction.grad_outputs[frames]
                d_update = total * (direction.previous[frames] - new) * update * (1 - update)
                d_new = total * (1 - update) * (1 - new * new)
                d_reset = d_new * h_new * reset * (1 - reset)
                recurrent = direction.grad_recurrent[frames]
                torch.cat((d_reset, d_update, d_new), dim=1, out=direction.grad_gates[frames])
                torch.cat((d_reset, d_update, d_new * reset), dim=1, out=recurrent)
                grad[:rows] = (recurrent.to(weight.dtype) @ weight).to(grad.dtype) + total * update


class LstmCells:
    """``i, f, o = sigmoid; g = tanh; c = f * c + i * g; h = o * tanh(c)``."""

    def forward(self, directions: list[Direction]) -> None:
        for direction in directions:
            weight = direction.weight.t()
            hidden, cell = direction.state
            for rows, frames in direction.steps():
                before = hidden[:rows]
                recurrent = (before.to(weight.dtype) @ weight).to(before.dtype) + direction.bias
                x_in, x_forget, x_new, x_out = (direction.gates[frames] + recurrent).chunk(4, dim=1)
                let_in, forget, let_out = torch.sigmoid(x_in), torch.sigmoid(x_forget), torch.sigmoid(x_out)
                new = torch.tanh(x_new)
                if direction.keep and direction.previous_cell is not None:
                    direction.previous[frames] = before
                    direction.previous_cell[frames] = cell[:rows]
                    torch.cat((let_in, forget, new, let_out), dim=1, out=direction.activations[frames])
                cell[:rows] = forget * cell[:rows] + let_in * new
                before.copy_(let_out * torch.tanh(cell[:rows]))
                direction.outputs[frames] = before

    def backward(self, directions: list[Direction]) -> None:
        for direction in directions:
            weight = direction.weight
            grad, grad_cell = direction.grad_state
            assert direction.previous_cell is not None
            for rows, frames in direction.steps(backward=True):
                let_in, forget, new, let_out = direction.activations[frames].chunk(4, dim=1)
                before = direction.previous_cell[frames]
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
