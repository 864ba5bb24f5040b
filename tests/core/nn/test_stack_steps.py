"""Fed layers in training against the same layers taken one step after the other, with gradients."""

from __future__ import annotations

import pytest
import torch

from s2s_core.nn.recurrent_stack import RecurrentLayers, RecurrentStack
from s2s_core.nn.stack_steps import StackSteps, steps_of
from s2s_core.nn.steps import StepOrder

ORDER = StepOrder.of(torch.tensor([4, 1, 3]), 4)


def run(stack, known, weight, shared):
    state, fed, outs = stack.initial_state(3, known), known.new_zeros(3, 2), []
    step = steps_of(stack, known) if shared else None
    start = 0
    for rows in ORDER.batch_sizes:
        frames = slice(start, start + rows)
        state = [tuple(part[:rows] for part in layer) for layer in state]
        if step is None:
            out, state = stack.step(torch.cat((known[frames], fed[:rows]), dim=1), state)
        else:
            out, state = step(frames, fed[:rows], state)
        fed, start = out @ weight, start + rows
        outs.append(out)
    return torch.cat(outs)


@pytest.mark.parametrize("cell", ["lstm", "gru", "layer_norm_lstm"])
def test_equals_single_steps(cell):
    torch.manual_seed(0)
    stack = RecurrentStack(RecurrentLayers(5, 3, cell), 6, skips=[1, 2]).double()
    known = torch.randn(8, 4).double().requires_grad_()
    weight = torch.randn(5, 2).double().requires_grad_()
    found = []
    for shared in (True, False):
        out = run(stack, known, weight, shared)
        total = (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum()
        found.append([out, *torch.autograd.grad(total, [known, weight, *stack.parameters()])])
    torch.testing.assert_close(*found)
    assert isinstance(steps_of(stack, known), StackSteps) == (cell != "layer_norm_lstm")


@pytest.mark.parametrize("place", ["input", "output"])
def test_drops(place):
    torch.manual_seed(0)
    stack = RecurrentStack(RecurrentLayers(50, 1, **{f"{place}_dropout": 0.25}), 100)
    known, fed = torch.randn(80, 60), torch.randn(80, 40)
    out, _ = StackSteps(stack, known)(slice(0, 80), fed, stack.initial_state(80, known))
    zeros = float((out == 0).float().mean())
    assert (0.2 < zeros < 0.3) == (place == "output")
