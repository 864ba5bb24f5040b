"""Products on the host against torch's own, at sizes that reach oneDNN."""

import pytest
import torch
from torch.nn import functional as F

from s2s_core.nn import linear as linear_module
from s2s_core.nn.linear import ONEDNN_MIN_ELEMENTS, Linear, linear, product


@pytest.mark.parametrize(("rows", "inner", "columns"), [(300, 128, 160), (5, 3, 2)])
@pytest.mark.parametrize("a_transposed", [False, True])
@pytest.mark.parametrize("b_transposed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("intel", [False, True])
def test_product(rows, inner, columns, a_transposed, b_transposed, dtype, intel, monkeypatch):
    monkeypatch.setattr(linear_module, "is_intel", lambda: intel)
    torch.manual_seed(0)
    a, b = torch.randn(rows, inner, dtype=dtype), torch.randn(columns, inner, dtype=dtype)
    assert (min(a.numel(), b.numel()) < ONEDNN_MIN_ELEMENTS) == (rows == 5)
    expected = (a.double() @ b.double().T).to(dtype)
    a = a.T.contiguous().T if a_transposed else a
    b = b.T.contiguous().T if b_transposed else b
    torch.testing.assert_close(product(a, b), expected, atol=1e-4, rtol=1e-4)


def test_linear_and_its_gradients():
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 200, 128), torch.randn(160, 128), torch.randn(160)
    results = []
    for function in (linear, F.linear):
        leaves = [t.clone().requires_grad_() for t in (x, weight, bias)]
        y = function(*leaves)
        y.square().sum().backward()
        results.append([y, *(t.grad for t in leaves)])
    for ours, torchs in zip(*results, strict=True):
        torch.testing.assert_close(ours, torchs, atol=1e-2, rtol=1e-4)


def test_linear_under_autocast_is_torchs():
    x, weight = torch.randn(1, 50, 8), torch.randn(4, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(linear(x, weight, None), F.linear(x, weight))


def test_linear_layers_start_glorot_uniform_block_by_block():
    torch.manual_seed(0)
    layer = Linear(200, 300, blocks=3)
    for block in layer.weight.detach().chunk(3):
        bound = (6 / (200 + 100)) ** 0.5
        assert block.abs().max() == pytest.approx(bound, rel=0.01)
        assert block.std() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not layer.bias.any()
    x = torch.randn(4, 7, 200)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))
