"""Frames in the order of recurrent layers, against lists."""

from __future__ import annotations

import torch

from s2s_core.nn.steps import StepOrder

LENGTHS = [3, 1, 4, 2]
ORDER = [(2, 0), (0, 0), (3, 0), (1, 0), (2, 1), (0, 1), (3, 1), (2, 2), (0, 2), (2, 3)]
"""Row and step of every frame."""


def frames():
    """``(batch, time, 2)`` that tell their row and step."""
    rows, steps = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    return torch.stack((rows, steps), dim=2).float() + 1


def order():
    return StepOrder.of(torch.tensor(LENGTHS), 6)


def as_pairs(data):
    return [(int(row) - 1, int(step) - 1) for row, step in data.tolist()]


def test_packs_step_after_step_and_back():
    packed = order().pack(frames())
    assert order().batch_sizes == [4, 3, 2, 1]
    assert as_pairs(packed) == ORDER
    real = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    assert torch.equal(order().unpack(packed), frames() * real[..., None])


def test_gives_row_after_row():
    found = as_pairs(order().row_after_row(order().pack(frames())))
    assert found == [(row, step) for row, length in enumerate(LENGTHS) for step in range(length)]


def test_delays_each_row_by_a_step():
    delayed = as_pairs(order().delayed(order().pack(frames())))
    assert delayed == [(row, step - 1) if step else (-1, -1) for row, step in ORDER]  # zeros tell -1
    assert StepOrder.of(torch.ones(2, dtype=torch.int64), 1).delayed(torch.ones(2, 3)).tolist() == [[0.0] * 3] * 2


def test_sorts_states_by_falling_length():
    state = torch.arange(4.0).view(1, 4, 1)
    assert order().sort(state).flatten().tolist() == [2.0, 0.0, 3.0, 1.0]
    assert torch.equal(order().unsort(order().sort(state)), state)
