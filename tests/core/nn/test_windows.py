"""Neighbouring frames that a convolution sees, against loops and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from s2s_core.nn.windows import RowOrder

LENGTHS = torch.tensor([3, 1, 5])


@pytest.mark.parametrize(("first", "last"), [(0, 0), (-2, 0), (-1, 1), (-3, 1), (1, 2)])
def test_windows_are_each_rows_own_neighbours(first, last):
    padded = torch.randn(3, 6, 2)
    order = RowOrder.of(LENGTHS, 6)
    found = order.windows(order.pack(padded), first, last)
    wanted = []
    for row, length in zip(padded, LENGTHS.tolist(), strict=True):
        for place in range(length):
            seen = [row[i] if 0 <= i < length else torch.zeros(2) for i in range(place + first, place + last + 1)]
            wanted.append(torch.cat(seen))
    assert torch.equal(found, torch.stack(wanted))


def test_a_causal_convolution():
    torch.manual_seed(0)
    padded, kernel = torch.randn(3, 6, 4), torch.randn(5, 4, 3)
    order = RowOrder.of(LENGTHS, 6)
    found = order.windows(order.pack(padded), -2, 0) @ kernel.permute(2, 1, 0).reshape(12, 5)
    clean = order.unpack(order.pack(padded))
    wanted = F.conv1d(F.pad(clean.mT, (2, 0)), kernel).mT
    torch.testing.assert_close(found, order.pack(wanted))


@pytest.mark.parametrize(("first", "last"), [(-2, 0), (-1, 1), (1, 3)])
def test_gradients_by_finite_differences(first, last):
    order = RowOrder.of(LENGTHS, 6)
    data = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: order.windows(x, first, last), (data,))
