"""Products with a shared matrix and their gradients, against plain autograd."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from s2s_core.nn.shared_product import SharedProduct, SharedProducts

ROWS = [4, 4, 2, 1]


def recurrence(take, x, begin):
    """Each step's output goes into the next one's input."""
    outs, state = [], begin
    for rows, now in zip(ROWS, x.split(ROWS), strict=True):
        state = torch.tanh(take(now + state[:rows]))
        outs.append(state)
    return torch.cat(outs)


@pytest.mark.parametrize("kind", ["matrix", "matrices"])
@pytest.mark.parametrize("batch", [4, 6])
def test_equals_plain_products(kind, batch):
    torch.manual_seed(0)
    x, begin = torch.randn(11, 3).double(), torch.randn(4, 3).double()
    weight = torch.randn(3, 3).double() if kind == "matrix" else torch.randn(batch, 3, 3).double()
    found = []
    for shared in (True, False):
        leaves = [t.clone().requires_grad_() for t in (weight, x, begin)]
        if kind == "matrix":
            take = SharedProduct(leaves[0]) if shared else lambda now, w=leaves[0]: now @ w.T
        else:
            take = (
                SharedProducts(leaves[0])
                if shared
                else lambda now, w=leaves[0]: torch.stack([row @ w[i] for i, row in enumerate(now)])
            )
        out = recurrence(take, *leaves[1:])
        (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward(retain_graph=True)
        first = [leaf.grad.clone() for leaf in leaves]
        out.sum().backward()  # a second pass adds to the first
        found.append([out, *first, *(leaf.grad for leaf in leaves)])
    torch.testing.assert_close(*found)


def test_a_frozen_matrix_still_passes_gradients_on():
    weight, x = torch.randn(2, 3), torch.randn(4, 3, requires_grad=True)
    SharedProduct(weight)(x).sum().backward()
    torch.testing.assert_close(x.grad, weight.sum(0).expand(4, 3))


def test_bfloat16_under_autocast():
    weight, x = torch.randn(64, 64, requires_grad=True), torch.randn(8, 64, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = SharedProduct(weight)(x)
    assert out.dtype == torch.bfloat16
    out.float().square().sum().backward()
    exact = torch.autograd.grad((x @ weight.T).square().sum(), [weight, x])
    for mine, wanted in zip((weight.grad, x.grad), exact, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - wanted).norm() < 0.02 * wanted.norm()


def test_nothing_outlives_the_graph():
    weight = torch.randn(2, 2, requires_grad=True)
    gc.disable()
    try:
        x = torch.randn(3, 2)
        out = SharedProduct(weight)(x)
        trace = weakref.ref(out.grad_fn)
        del out
        assert trace() is None
    finally:
        gc.enable()
