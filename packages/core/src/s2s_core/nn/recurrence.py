"""The recurrent part of a GRU or LSTM layer on the CPU, differentiable, over packed sequences.

``torch.nn.GRU`` adds up weight gradients step by step and, packed, gathers both directions anew at each step. Here a
step is one small matrix product and the gates; everything else is done for all steps at once, before and after.

Packed means what it means in ``torch.nn.utils.rnn``: rows sorted by falling length, frames ``(frames, features)`` of
all rows that are still active at step 0, then at step 1, and so on. The backward direction starts with the longest
rows and takes the others in as it reaches their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from s2s_core.nn.cells import CELLS, Direction


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
        dtype = flat[0].dtype
        work = torch.float64 if dtype == torch.float64 else torch.float32
        products = torch.bfloat16 if dtype == torch.bfloat16 else work
        with torch.autocast("cpu", enabled=False):
            ends = tuple(part.to(work, copy=True) for part in state)
            outputs = flat[0].new_empty(flat[0].size(0), len(flat) // 3 * state[0].size(2), dtype=work)
            offsets = [0, *accumulate(batch_sizes)]
            directions = [
                Direction(
                    gates=gate.to(work).contiguous(),
                    weight=weight.to(products),
                    bias=bias.to(work),
                    outputs=outputs.unflatten(1, (-1, weight.size(1)))[:, d],
                    state=tuple(part[d] for part in ends),
                    batch_sizes=batch_sizes,
                    offsets=offsets,
                    reverse=d == 1,
                    keep=keep,
                )
                for d, (gate, weight, bias) in enumerate(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
            ]
            _cells_for(cell, products).forward(directions)
        if keep:
            ctx.cell, ctx.directions, ctx.products = cell, directions, products
            ctx.dtypes = [tensor.dtype for tensor in tensors]
        return (outputs.to(dtype), *(end.to(part.dtype) for end, part in zip(ends, state, strict=True)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads_out: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        directions: list[Direction] = ctx.directions
        with torch.autocast("cpu", enabled=False):
            work = directions[0].gates.dtype
            grad_outputs = grads_out[0].to(work).contiguous()
            grad_state = tuple(grad.to(work, copy=True) for grad in grads_out[1:])
            columns = grad_outputs.unflatten(1, (len(directions), -1))
            for d, direction in enumerate(directions):
                direction.begin_backward(columns[:, d], tuple(part[d] for part in grad_state))
            _cells_for(ctx.cell, ctx.products).backward(directions)
            grads: list[Tensor] = [*grad_state]
            for direction in directions:
                recurrent = direction.grad_recurrent.to(ctx.products)
                grad_weight = recurrent.t() @ direction.previous.to(ctx.products)
                grads += [direction.grad_gates, grad_weight, direction.grad_recurrent.sum(0)]
        ctx.directions = None
        return (None, None, None, None, *(g.to(dtype) for g, dtype in zip(grads, ctx.dtypes, strict=True)))


def _cells_for(cell: str, products: torch.dtype) -> Any:

    return CELLS[cell]
