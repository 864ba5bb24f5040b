"""The recurrent part of a GRU or LSTM layer on the CPU, differentiable, over packed sequences.

``torch.nn.GRU`` adds up weight gradients step by step and, packed, gathers both directions anew at each step. Here a
step is one small matrix product and the gates; everything else is done for all steps at once, before and after.

Packed means what it means in ``torch.nn.utils.rnn``: rows sorted by falling length, frames ``(frames, features)`` of
all rows that are still active at step 0, then at step 1, and so on. The backward direction starts with the longest
rows and takes the others in as it reaches their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from s2s_core.nn.cells import CELLS, BackwardPass, Cells, ForwardPass, Kept, Steps
from s2s_core.nn.linear import product
from s2s_core.nn.native import native_cells


@torch.compiler.disable()  # the compiled steps take addresses, which a traced tensor has not
def recurrence(
    cell: str,
    gates: Sequence[Tensor],
    weights: Sequence[tuple[Tensor, Tensor]],
    state: tuple[Tensor, ...],
    batch_sizes: list[int],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one layer, forwards and, if a second set of gates is given, backwards.

    The state is kept in float32 (float64 for float64 gates) whatever the dtype of the gates. The small products run
    in bfloat16 when the gates are.

    Args:
        cell: ``gru`` or ``lstm``.
        gates: for each direction, the inputs' share of the gates' pre-activations, ``(frames, 3 or 4 * hidden)``.
        weights: for each direction, the recurrent weight ``(3 or 4 * hidden, hidden)`` and bias.
        state: ``(hidden,)`` or ``(hidden, cell)``, each ``(directions, batch, hidden)``.
        batch_sizes: how many rows are active at each step.

    Returns:
        outputs ``(frames, directions * hidden)`` and the state at each row's end.
    """
    flat = [tensor for gate, (weight, bias) in zip(gates, weights, strict=True) for tensor in (gate, weight, bias)]
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*flat, *state))
    outputs, *ends = _Recurrence.apply(cell, batch_sizes, keep, len(state), *state, *flat)
    return outputs, tuple(ends)


class _Recurrence(Function):
    @staticmethod
    def forward(ctx: Any, cell: str, batch_sizes: list[int], keep: bool, num_states: int, *tensors: Tensor) -> Any:
        state, flat = tensors[:num_states], tensors[num_states:]
        products = _PRODUCTS.get(flat[0].dtype, torch.float32)
        ends = [part.to(_work(products), copy=True) for part in state]
        frames, hidden = flat[0].size(0), flat[1].size(1)
        outputs = flat[0].new_empty(frames, len(flat) // 3, hidden, dtype=_work(products))
        passes = [
            ForwardPass(
                steps=Steps(batch_sizes, reverse=d == 1),
                gates=gates.to(_work(products)).contiguous(),
                weight=weight.to(products),
                bias=bias.to(_work(products)),
                outputs=outputs[:, d],
                hidden=ends[0][d],
                cell=ends[1][d] if num_states > 1 else None,
                kept=_room(outputs, num_states) if keep else None,
            )
            for d, (gates, weight, bias) in enumerate(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
        ]
        with torch.autocast("cpu", enabled=False):
            _cells_for(cell, products).forward(passes)
        ctx.settings = (cell, batch_sizes, products, [tensor.dtype for tensor in tensors])
        kept = [(one.kept.previous, one.kept.activations, one.kept.previous_cell) for one in passes if one.kept]
        ctx.save_for_backward(*flat[1::3], *chain(*kept))
        return (outputs.flatten(1).to(flat[0].dtype), *(e.to(part.dtype) for e, part in zip(ends, state, strict=True)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads_out: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        cell, batch_sizes, products, dtypes = ctx.settings
        with torch.autocast("cpu", enabled=False):
            grad_outputs = grads_out[0].to(_work(products)).contiguous()
            grad_state = [grad.to(_work(products), copy=True) for grad in grads_out[1:]]
            passes = _backward_passes(ctx.saved_tensors, grad_outputs, grad_state, batch_sizes, products)
            _cells_for(cell, products).backward(passes)
            grads = list(grad_state)
            for one in passes:
                # the weight's gradient of all steps at once
                grad_weight = product(one.grad_recurrent.to(products).t(), one.kept.previous.to(products).t())
                grads += [one.grad_gates, grad_weight, one.grad_recurrent.sum(0)]
        return (None, None, None, None, *(g.to(dtype) for g, dtype in zip(grads, dtypes, strict=True)))


def _backward_passes(
    saved: Sequence[Tensor],
    grad_outputs: Tensor,
    grad_state: list[Tensor],
    batch_sizes: list[int],
    products: torch.dtype,
) -> list[BackwardPass]:
    count = grad_state[0].size(0)
    columns = grad_outputs.unflatten(1, (count, -1))
    passes = []
    for d, weight in enumerate(saved[:count]):
        previous, activations, previous_cell = saved[count + 3 * d : count + 3 * d + 3]
        grad_gates = grad_outputs.new_empty(len(grad_outputs), len(weight))
        is_lstm = len(grad_state) > 1
        passes.append(
            BackwardPass(
                steps=Steps(batch_sizes, reverse=d == 1),
                weight=weight.to(products),
                kept=Kept(previous, activations, previous_cell),
                grad_outputs=columns[:, d],
                grad_hidden=grad_state[0][d],
                grad_cell=grad_state[1][d] if is_lstm else None,
                grad_gates=grad_gates,
                grad_recurrent=grad_gates if is_lstm else torch.empty_like(grad_gates),
            )
        )
    return passes


def _room(outputs: Tensor, num_states: int) -> Kept:
    frames, _, hidden = outputs.shape
    previous, activations = outputs.new_empty(frames, hidden), outputs.new_empty(frames, 4 * hidden)
    return Kept(previous, activations, torch.empty_like(previous) if num_states > 1 else None)


_PRODUCTS = {torch.float64: torch.float64, torch.bfloat16: torch.bfloat16}
"""In what dtype the recurrent products of gates of a dtype run; float32 for others."""


def _work(products: torch.dtype) -> torch.dtype:
    return torch.float64 if products == torch.float64 else torch.float32


def _cells_for(cell: str, products: torch.dtype) -> Cells:
    native = native_cells(cell) if products != torch.float64 else None
    return CELLS[cell] if native is None else native
