"""Recurrent layers in training, step by step, where each step is fed with what the one before led to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from s2s_core.nn.linear import linear
from s2s_core.nn.recurrent_stack import LayerState, RecurrentStack
from s2s_core.nn.rnn import STEP, Recurrent
from s2s_core.nn.shared_product import SharedProduct


@dataclass
class _Layer:
    """A layer's shared products."""

    inputs: SharedProduct
    recurrent: SharedProduct
    bias: Tensor
    recurrent_bias: Tensor


class StackSteps:
    """The steps of a `RecurrentStack` whose first layer's input is what is known beforehand, and what is fed back.

    The share of what is known is computed for all steps at once, and so is the gradient of every weight.

    Args:
        stack: the layers; LSTM or GRU.
        known: ``(frames, feature)``, in the order of `StepOrder`; its features come first in the stack's input.
    """

    def __init__(self, stack: RecurrentStack, known: Tensor) -> None:
        self.stack = stack
        self.cell = STEP[stack.settings.cell]
        known = stack.drop_input(known)
        self.layers: list[_Layer] = []
        for i, layer in enumerate(stack.layers):
            assert isinstance(layer, Recurrent)
            w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
            if i == 0:
                self.known = linear(known, w_ih[:, : known.shape[1]], b_ih)
                w_ih = w_ih[:, known.shape[1] :]
            self.layers.append(_Layer(SharedProduct(w_ih), SharedProduct(w_hh), b_ih, b_hh))

    def __call__(self, frames: slice, fed: Tensor, state: list[LayerState]) -> tuple[Tensor, list[LayerState]]:
        """Take ``frames`` of a step and what is fed to it, ``(rows, feature)``."""
        x, ends = fed, []
        for i, layer in enumerate(self.layers):
            gates = layer.inputs(self.stack.drop_input(x))
            gates = gates + (self.known[frames] if i == 0 else layer.bias)
            recurrent = layer.recurrent(state[i][0]) + layer.recurrent_bias
            ends.append(self.cell(gates, recurrent, state[i]))
            x = self.stack.leave(i, x, ends[-1][0])
        return x, ends


TakeStep = Callable[[slice, Tensor, list[LayerState]], tuple[Tensor, list[LayerState]]]


def steps_of(stack: RecurrentStack, known: Tensor) -> TakeStep:
    """The steps of a stack as `StackSteps` takes them; its own where the cell normalises the sum of both shares."""
    if stack.settings.cell in STEP:
        return StackSteps(stack, known)
    return lambda frames, fed, state: stack.step(torch.cat((known[frames], fed.to(known.dtype)), dim=1), state)
