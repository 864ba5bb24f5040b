"""Layer normalisation whose backward pass is given half-precision values, beside torch's with float32 ones."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from s2s_core.nn import layer_norm as module
from s2s_core.nn.layer_norm import layer_norm

EPS = 1e-5


@pytest.fixture
def as_on_accelerators(monkeypatch):
    monkeypatch.setattr(module, "KEPT_AS_GIVEN", ())


def operands(dtype, shift=1.0):
    torch.manual_seed(0)
    x = (3 * torch.randn(7, 5, 64) + shift).to(dtype).requires_grad_()
    weight, bias = torch.rand(64).add(0.5).requires_grad_(), torch.randn(64).requires_grad_()
    return x, weight, bias


def results(function, given, upstream):
    y = function(*given)
    y.backward(upstream.to(y.dtype))
    return [y.detach(), *(tensor.grad for tensor in given)]


def ours(half):
    def run(x, weight, bias):
        with torch.autocast("cpu", half):
            return layer_norm(x, weight, bias, EPS)

    return run


def torchs(x, weight, bias):
    return F.layer_norm(x.float(), (64,), weight, bias, EPS)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_input_loses_nothing(as_on_accelerators, half):
    upstream = torch.randn(7, 5, 64)
    found = results(ours(half), operands(half), upstream)
    expected = results(torchs, operands(half), upstream)
    assert found[0].dtype == torch.float32
    for value, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(value, reference, rtol=0, atol=0)


@pytest.mark.parametrize("shift", [1.0, 1e3, 1e5])  # a mean without digits to spare, and one beyond float16
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_float32_input_is_as_exact_as_half_precision_products(as_on_accelerators, half, shift):
    upstream = torch.randn(7, 5, 64)
    found = results(ours(half), operands(torch.float32, shift), upstream)
    expected = results(torchs, operands(torch.float32, shift), upstream)
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=0)
    torch.testing.assert_close(found[3], expected[3], rtol=0, atol=0)
    for value, reference in zip(found[1:3], expected[1:3], strict=True):
        error = (value - reference).abs().max() / reference.abs().max()
        assert error < torch.finfo(half).eps


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_keeps_half_precision(half, dtype, monkeypatch):
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    kept = []
    with FakeTensorMode(), torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        x = torch.empty(7, 5, 64, dtype=dtype, device="cuda", requires_grad=True)
        weight, bias = torch.empty(64, device="cuda"), torch.empty(64, device="cuda")
        with torch.autocast("cuda", half):
            y = layer_norm(x, weight, bias, EPS)
    assert y.dtype == torch.float32
    assert [t.dtype for t in kept if t.shape == x.shape] == [half if dtype == torch.float32 else dtype]


@pytest.mark.parametrize("where", ["no autocast", "no gradient", "on the host"])
def test_elsewhere_it_is_torchs(where, monkeypatch):
    if where != "on the host":
        monkeypatch.setattr(module, "KEPT_AS_GIVEN", ())
    x, weight, bias = operands(torch.float32)
    x.requires_grad_(where != "no gradient")
    with torch.autocast("cpu", torch.bfloat16, enabled=where != "no autocast"):
        y = layer_norm(x, weight, bias, EPS)
        torch.testing.assert_close(y, F.layer_norm(x, (64,), weight, bias, EPS), rtol=0, atol=0)
    if where != "no gradient":
        assert type(y.grad_fn).__name__ == "NativeLayerNormBackward0"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_computes_the_same(dtype):
    def run(function):
        given = [tensor.detach().cuda().requires_grad_() for tensor in operands(dtype)]
        with torch.autocast("cuda", torch.bfloat16):
            y = function(*given)
        y.backward(torch.ones_like(y).cumsum(-1).sin())
        return [y.detach(), *(tensor.grad for tensor in given)]

    found = run(lambda x, weight, bias: layer_norm(x, weight, bias, EPS))
    expected = run(lambda x, weight, bias: F.layer_norm(x, (64,), weight, bias, EPS))
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=0)
    for value, reference in zip(found[1:], expected[1:], strict=True):
        assert value.dtype == reference.dtype
        assert (value - reference).abs().max() <= torch.finfo(torch.bfloat16).eps * reference.abs().max()
