import pytest
import torch
from torch.nn import functional as F

from s2s_lm import linear_cross_entropy as module
from s2s_lm.linear_cross_entropy import linear_cross_entropy, linear_nll


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("chunk", [1 << 26, 400])
def test_value_and_gradients_are_those_of_torch(monkeypatch, with_bias, chunk):
    monkeypatch.setattr(module, "HOST_CHUNK", chunk)
    torch.manual_seed(0)
    parts = [torch.randn(17, 5, dtype=torch.float64), torch.randn(13, 5, dtype=torch.float64)]
    parts.append(torch.randn(13, dtype=torch.float64))
    targets = torch.randint(13, (17,))
    targets[[3, 8]] = -100
    ours = [part.clone().requires_grad_() for part in parts]
    theirs = [part.clone().requires_grad_() for part in parts]
    total = linear_cross_entropy(ours[0], ours[1], ours[2] if with_bias else None, targets)
    bias = theirs[2] if with_bias else None
    expected = F.cross_entropy(F.linear(theirs[0], theirs[1], bias), targets, reduction="sum")
    torch.testing.assert_close(total, expected)
    (3 * total).backward()
    (3 * expected).backward()
    for a, b in list(zip(ours, theirs, strict=True))[: 3 if with_bias else 2]:
        torch.testing.assert_close(a.grad, b.grad)
    each = linear_nll(parts[0], parts[1], parts[2] if with_bias else None, targets)
    torch.testing.assert_close(each.sum().double(), expected.detach(), rtol=1e-5, atol=1e-5)
    assert (each[[3, 8]] == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_near(dtype):
    torch.manual_seed(0)
    encodings, weight = torch.randn(40, 16), 0.2 * torch.randn(3000, 16)
    targets = torch.randint(3000, (40,))
    exact = weight.clone().requires_grad_()
    F.cross_entropy(F.linear(encodings, exact), targets, reduction="sum").backward()
    half = weight.clone().requires_grad_()
    inputs = encodings.to(dtype).requires_grad_()
    total = linear_cross_entropy(inputs, half, None, targets)
    total.backward()
    assert total.dtype == torch.float32
    assert (half.grad - exact.grad).norm() < 0.02 * exact.grad.norm()
    # of words that are no target every gradient is small: none may have become zero
    assert (half.grad != 0).float().mean() > 0.99
