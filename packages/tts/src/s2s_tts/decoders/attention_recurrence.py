"""The loop of a Tacotron decoder under teacher forcing: LSTM, attention, context, and back to the LSTM.

Autograd over such a loop adds up the gradient of every weight step by step, which is most of the time that other
implementations spend. Here a step has a hand-written gradient, and the weights' gradients are one product each over
all steps at the end. What does not depend on the loop (the prenet's share of the gates, the keys of the memory, the
decoder's second LSTM) is computed outside, for all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from s2s_core.nn.linear import product
from s2s_core.nn.location_attention import SMALLEST, LocationAttention, moved_on
from s2s_tts.decoders.native_steps import call, native_steps, packed_gates, packed_linear, packed_location


class LoopInputs(NamedTuple):
    """What the loop reads; ``T`` steps, ``B`` rows, ``N`` tokens. All but the masks may be differentiated."""

    gates: Tensor
    """``(T, B, 4 * hidden)``: the inputs' share of the LSTM's gates, biases included."""
    keys: Tensor
    """``(B, N, size)``."""
    values: Tensor
    """``(B, N, memory)``."""
    recurrent: Tensor
    """``(4 * hidden, memory + hidden)``: the gates' weights of context and hidden state, side by side."""
    query: Tensor
    """``(size, hidden)``."""
    location: Tensor
    """``(size, 2, kernel)``: of the last weights and the sum of all."""
    score: Tensor
    """``(size,)``."""


@dataclass
class LoopOptions:
    """What the loop reads that has no gradient."""

    mask: Tensor
    """``(B, N)`` bool, true where a token is real."""
    keep: Tensor | None
    """``(T, B, hidden)``: what the hidden state is multiplied by where it leaves the LSTM (dropout), or None."""
    only_forward: bool
    """Forward attention."""


@dataclass
class Trace:
    """What a pass over all steps leaves behind."""

    hidden: Tensor
    """``(T + 1, B, hidden)``: states before each step, and the last; without dropout."""
    activations: Tensor
    """``(T, B, 4 * hidden)``: in, forget, new, out."""
    cells: Tensor
    """``(T + 1, B, hidden)``."""
    contexts: Tensor
    """``(T + 1, B, memory)``; the first is zero."""
    weights: Tensor
    """``(T + 1, B, N)``; the first is where attention starts."""


@dataclass
class LoopGradients:
    """Of a pass backwards over all steps."""

    gates: Tensor
    """``(T, B, 4 * hidden)``."""
    contexts: Tensor
    """``(T, B, memory)``, the steps after included."""
    queries: Tensor
    """``(T, B, size)``."""
    keys: Tensor
    location: Tensor
    score: Tensor


@torch.compiler.disable()  # the compiled steps take addresses, which a traced tensor has not
def attention_recurrence(
    gates: Tensor,
    keys: Tensor,
    values: Tensor,
    recurrent: Tensor,
    attention: LocationAttention,
    options: LoopOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run all steps; differentiable.

    States are float32 (float64 for float64 gates); products run in bfloat16 when the gates are.

    Args:
        gates, keys, values, recurrent: see `LoopInputs`.
        attention: whose weights it uses.
        options: see `LoopOptions`.

    Returns:
        hidden states ``(T, B, hidden)`` after dropout, contexts ``(T, B, memory)`` and weights ``(T, B, N)``.
    """
    inputs = LoopInputs(
        gates, keys, values, recurrent, attention.query_weight, attention.location_kernel(), attention.score_weight
    )
    hidden, contexts, weights = _AttentionRecurrence.apply(options, *inputs)  # type: ignore[misc]
    return hidden, contexts, weights


class _AttentionRecurrence(Function):
    @staticmethod
    def forward(ctx: Any, options: LoopOptions, *tensors: Tensor) -> Any:
        inputs = LoopInputs(*tensors)
        products = inputs.gates.dtype if inputs.gates.dtype in (torch.float64, torch.bfloat16) else torch.float32
        wide = LoopInputs(*(tensor.to(_work(products)) for tensor in inputs))
        with torch.autocast(inputs.gates.device.type, enabled=False):
            trace = _native_forward(wide, options, products) or run_forward(wide, options, products)
        ctx.settings = (options, products, [tensor.dtype for tensor in tensors])
        # the gates, the largest of the inputs, are needed for their shape alone, which the activations have
        ctx.save_for_backward(*wide[1:], trace.hidden, trace.activations, trace.cells, trace.contexts, trace.weights)
        hidden = trace.hidden[1:] if options.keep is None else trace.hidden[1:] * options.keep
        return hidden, trace.contexts[1:].clone(), trace.weights[1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        options, products, dtypes = ctx.settings
        saved = ctx.saved_tensors
        trace = Trace(*saved[6:])
        inputs = LoopInputs(trace.activations, *saved[:6])
        device = inputs.gates.device.type
        with torch.autocast(device, enabled=False):
            outer = [grad.to(_work(products)).contiguous() for grad in grads]
            found = run_backward(inputs, options, trace, outer, products)
            flat_gates = found.gates.flatten(0, 1).to(products)
            before = torch.cat((trace.contexts[:-1], trace.hidden[:-1]), dim=2).flatten(0, 1).to(products)
            after = trace.hidden[1:] if options.keep is None else trace.hidden[1:] * options.keep
            grad_values = torch.einsum("tbn,tbm->bnm", trace.weights[1:].to(products), found.contexts.to(products))
            gradients = LoopInputs(
                gates=found.gates,
                keys=found.keys,
                values=grad_values,
                recurrent=product(flat_gates.t(), before.t()),
                query=product(found.queries.flatten(0, 1).to(products).t(), after.flatten(0, 1).to(products).t()),
                location=found.location,
                score=found.score,
            )
        return (None, *(grad.to(dtype) for grad, dtype in zip(gradients, dtypes, strict=True)))


def run_forward(inputs: LoopInputs, options: LoopOptions, products: torch.dtype) -> Trace:
    """All steps in torch operations."""
    steps, _, quadruple = inputs.gates.shape
    size, trace = quadruple // 4, _empty_trace(inputs, options)
    cumulative = torch.zeros_like(trace.weights[0])
    recurrent, query_weight = inputs.recurrent.to(products).t(), inputs.query.t()
    for t in range(steps):
        state = torch.cat((trace.contexts[t], trace.hidden[t]), dim=1).to(products)
        gates = inputs.gates[t] + (state @ recurrent).to(inputs.gates.dtype)
        sigmoids = torch.sigmoid(gates)
        into, forget, _, out = sigmoids.chunk(4, dim=1)
        new = torch.tanh(gates[:, 2 * size : 3 * size])
        torch.cat((into, forget, new, out), dim=1, out=trace.activations[t])
        torch.addcmul(forget * trace.cells[t], into, new, out=trace.cells[t + 1])
        torch.mul(out, torch.tanh(trace.cells[t + 1]), out=trace.hidden[t + 1])
        hidden = trace.hidden[t + 1] if options.keep is None else trace.hidden[t + 1] * options.keep[t]
        windows = _windows(trace.weights[t], cumulative, inputs.location.shape[2])
        inner = _inner(inputs, hidden @ query_weight, windows)
        weights = _soft(inner @ inputs.score, options)
        if options.only_forward:
            weights = moved_on(trace.weights[t]) * weights
            weights = weights / weights.sum(1, keepdim=True).clamp(min=SMALLEST)
        trace.weights[t + 1] = weights
        trace.contexts[t + 1] = torch.bmm(weights[:, None], inputs.values)[:, 0]
        cumulative += weights
    return trace


def _empty_trace(inputs: LoopInputs, options: LoopOptions) -> Trace:
    steps, rows, quadruple = inputs.gates.shape
    tokens, memory = inputs.values.shape[1:]
    make = inputs.gates.new_zeros
    trace = Trace(
        hidden=make(steps + 1, rows, quadruple // 4),
        activations=make(steps, rows, quadruple),
        cells=make(steps + 1, rows, quadruple // 4),
        contexts=make(steps + 1, rows, memory),
        weights=make(steps + 1, rows, tokens),
    )
    if options.only_forward:
        trace.weights[0, :, 0] = 1.0
    return trace


def _native_forward(inputs: LoopInputs, options: LoopOptions, products: torch.dtype) -> Trace | None:
    """All steps in the compiled kernel, where there is one."""
    steps, rows, quadruple = inputs.gates.shape
    hidden, (size, _, kernel), (tokens, memory) = quadruple // 4, inputs.location.shape, inputs.values.shape[1:]
    function = native_steps(inputs.gates, hidden, memory, size)
    if function is None:
        return None
    trace = _empty_trace(inputs, options)
    tensors: dict[str, Tensor | None] = {
        "lengths": options.mask.sum(1),
        "recurrent": packed_gates(inputs.recurrent, products),
        "query": packed_linear(inputs.query, products),
        "keys": inputs.keys.contiguous(),
        "values": inputs.values.contiguous(),
        "location": packed_location(inputs.location),
        "score": inputs.score.contiguous(),
        "hidden_state": trace.hidden[0].clone(),
        "cell": trace.cells[0].clone(),
        "context": trace.contexts[0].clone(),
        "weights": trace.weights[0].clone(),
        "cumulative": torch.zeros_like(trace.weights[0]),
        "gates": inputs.gates.contiguous(),
        "keep": options.keep,
        "all_hidden": trace.hidden[1:],
        "activations": trace.activations,
        "all_cells": trace.cells[1:],
        "all_contexts": trace.contexts[1:],
        "all_weights": trace.weights[1:],
    }
    sizes = {"steps": steps, "rows": rows, "tokens": tokens, "hidden": hidden, "memory": memory, "size": size}
    flags = {"bfloat16": int(products == torch.bfloat16), "only_forward": int(options.only_forward)}
    call(function, tensors, {}, kernel=kernel, **sizes, **flags)
    return trace


def run_backward(
    inputs: LoopInputs, options: LoopOptions, trace: Trace, outer: list[Tensor], products: torch.dtype
) -> LoopGradients:
    """The gradients of all steps in torch operations, the last step first.

    Args:
        inputs, options, trace: of the forward pass; of the inputs' gates only the shape is looked at.
        outer: gradients of what the loop returned: hidden states, contexts, weights.
        products: the dtype of the large products.
    """
    steps, _, quadruple = inputs.gates.shape
    size, memory = quadruple // 4, inputs.values.shape[2]
    found = LoopGradients(
        gates=torch.empty_like(inputs.gates),
        contexts=torch.empty_like(trace.contexts[1:]),
        queries=inputs.gates.new_empty(*inputs.gates.shape[:2], len(inputs.score)),
        keys=torch.zeros_like(inputs.keys),
        location=torch.zeros_like(inputs.location),
        score=torch.zeros_like(inputs.score),
    )
    cumulative = trace.weights[1:].sum(0)
    recurrent = inputs.recurrent.to(products)
    grad_state = torch.zeros_like(torch.cat((trace.contexts[0], trace.hidden[0]), dim=1))
    grad_cell, grad_weights = torch.zeros_like(trace.cells[0]), torch.zeros_like(cumulative)
    grad_sum = torch.zeros_like(cumulative)
    for t in reversed(range(steps)):
        cumulative = cumulative - trace.weights[t + 1]
        torch.add(outer[1][t], grad_state[:, :memory], out=found.contexts[t])
        grad_weights = outer[2][t] + grad_weights + grad_sum
        grad_weights += torch.einsum("bnm,bm->bn", inputs.values, found.contexts[t])
        kept = trace.hidden[t + 1] if options.keep is None else trace.hidden[t + 1] * options.keep[t]
        windows = _windows(trace.weights[t], cumulative, inputs.location.shape[2])
        inner = _inner(inputs, kept @ inputs.query.t(), windows)
        soft = _soft(inner @ inputs.score, options)
        grad_scores, grad_weights = _score_gradients(soft, grad_weights, trace.weights[t], options)
        grad_inner = (grad_scores[..., None] * inputs.score) * (1 - inner * inner)
        found.score += torch.einsum("bn,bns->s", grad_scores, inner)
        found.keys += grad_inner
        torch.sum(grad_inner, dim=1, out=found.queries[t])
        grad_last, grad_all = _location_gradients(inputs, grad_inner, windows, found)
        grad_weights, grad_sum = grad_weights + grad_last, grad_sum + grad_all
        grad_hidden = outer[0][t] + found.queries[t] @ inputs.query
        if options.keep is not None:
            grad_hidden = grad_hidden * options.keep[t]
        grad_hidden = grad_hidden + grad_state[:, memory:]
        grad_cell = _cell_gradients(trace, t, grad_hidden, grad_cell, found.gates[t], size)
        grad_state = (found.gates[t].to(products) @ recurrent).to(grad_state.dtype)
    return found


def _inner(inputs: LoopInputs, query: Tensor, windows: Tensor) -> Tensor:
    """``(B, N, size)``: what the scores are products with."""
    return torch.tanh(query[:, None] + inputs.keys + windows @ inputs.location.flatten(1).t())


def _windows(last: Tensor, cumulative: Tensor, kernel: int) -> Tensor:
    """``(B, N, 2 * kernel)``: around each token, the last weights and the sums."""
    padded = torch.nn.functional.pad(torch.stack((last, cumulative), dim=1), (kernel // 2, kernel // 2))
    return padded.unfold(2, kernel, 1).transpose(1, 2).flatten(2)


def _soft(scores: Tensor, options: LoopOptions) -> Tensor:
    return scores.masked_fill(~options.mask, float("-inf")).softmax(1)


def _score_gradients(soft: Tensor, grad: Tensor, before: Tensor, options: LoopOptions) -> tuple[Tensor, Tensor]:
    """Of the scores, and of the weights before through forward attention's product."""
    grad_before = torch.zeros_like(before)
    if options.only_forward:
        reach = moved_on(before)
        total = (reach * soft).sum(1, keepdim=True)
        weights = reach * soft / total.clamp(min=SMALLEST)
        mean = (grad * weights).sum(1, keepdim=True)
        grad = (grad - torch.where(total > SMALLEST, mean, 0.0)) / total.clamp(min=SMALLEST)
        grad_before = grad * soft
        grad_before = grad_before + torch.nn.functional.pad(grad_before[:, 1:], (0, 1))
        grad = grad * reach
    return soft * (grad - (soft * grad).sum(1, keepdim=True)), grad_before


def _location_gradients(
    inputs: LoopInputs, grad_inner: Tensor, windows: Tensor, found: LoopGradients
) -> tuple[Tensor, Tensor]:
    """Add to the kernel's gradient; return those of the last weights and of the sums."""
    kernel = inputs.location.shape[2]
    flat, rows = grad_inner.flatten(0, 1), len(grad_inner)
    found.location += (flat.t() @ windows.flatten(0, 1)).view_as(found.location)
    # each window's gradient, laid back over the tokens that it was cut from
    columns = (flat @ inputs.location.flatten(1)).view(rows, -1, 2 * kernel).mT
    tokens = columns.shape[2]
    folded = torch.nn.functional.fold(columns, (1, tokens), (1, kernel), padding=(0, kernel // 2))
    return folded[:, 0, 0], folded[:, 1, 0]


def _cell_gradients(
    trace: Trace, t: int, grad_hidden: Tensor, grad_cell: Tensor, grad_gates: Tensor, size: int
) -> Tensor:
    """Fill in the gates' gradient; return that of the cell before."""
    into, forget, new, out = trace.activations[t].chunk(4, dim=1)
    squashed = torch.tanh(trace.cells[t + 1])
    grad_cell = grad_cell + grad_hidden * out * (1 - squashed * squashed)
    grad_gates[:, :size] = grad_cell * new * into * (1 - into)
    grad_gates[:, size : 2 * size] = grad_cell * trace.cells[t] * forget * (1 - forget)
    grad_gates[:, 2 * size : 3 * size] = grad_cell * into * (1 - new * new)
    grad_gates[:, 3 * size :] = grad_hidden * squashed * out * (1 - out)
    return grad_cell * forget


def _work(products: torch.dtype) -> torch.dtype:
    return torch.float64 if products == torch.float64 else torch.float32
