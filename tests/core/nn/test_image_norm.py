"""Batch norm, shortcut and ReLU in one against the three operations in float64."""

import pytest
import torch

from s2s_core.nn import image_norm
from s2s_core.nn.image_norm import SOURCE, ImageNorm
from s2s_core.nn.native import load_library

SHAPES = [(2, 16, 3, 5), (3, 64, 9, 11), (1, 80, 20, 30), (2, 208, 5, 5)]


def made(shape, dtype, relu, added, seed=0):
    generator = torch.Generator().manual_seed(seed)
    norm = ImageNorm(shape[1], relu)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(shape[1], generator=generator) + 0.5)
        norm.bias.copy_(torch.randn(shape[1], generator=generator))
    # channels far from zero, whose variance a sum of squares would lose
    x = torch.randn(shape, generator=generator) + (torch.arange(shape[1]) % 80)[:, None, None]
    residual = torch.randn(shape, generator=generator) if added else None
    images = [t.to(dtype).contiguous(memory_format=torch.channels_last) for t in (x, residual) if t is not None]
    return norm, [t.requires_grad_() for t in images], torch.randn(shape, generator=generator)


def reference(norm, images, grad):
    """In float64, from the formula."""
    x = images[0].detach().double().requires_grad_()
    rest = [t.detach().double().requires_grad_() for t in images[1:]]
    weight, bias = (p.detach().double().requires_grad_() for p in (norm.weight, norm.bias))
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
    y = (x - mean) / (variance + norm.eps).sqrt() * weight[:, None, None] + bias[:, None, None] + sum(rest)
    y = y.clamp(min=0) if norm.relu else y
    y.backward(grad.double())
    count = x.numel() / x.shape[1]
    statistics = [0.1 * mean.flatten(), 0.9 + 0.1 * variance.flatten() * count / (count - 1)]
    return [y, x.grad, weight.grad, bias.grad, *(t.grad for t in rest), *statistics]


def results(norm, images, grad):
    y = norm(*images)
    y.backward(grad.to(y.dtype))
    found = [y, images[0].grad, norm.weight.grad, norm.bias.grad, *(t.grad for t in images[1:])]
    return [*found, norm.running_mean, norm.running_var]


@pytest.mark.parametrize("native", [True, False], ids=["compiled", "torch"])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_values_and_gradients(native, added, relu, monkeypatch):
    if native and load_library(SOURCE) is None:
        pytest.skip("no C++ compiler")
    if not native:
        monkeypatch.setattr(image_norm, "_suits", lambda *_: False)
    for shape in SHAPES:
        norm, images, grad = made(shape, torch.float32, relu, added)
        expected = reference(norm, images, grad)
        # torch's mean of 70 is off by some ulps of 8e-6, as many as its order of adding makes, which varies with the
        # number of threads; a weight's gradient has that error times the sum of the gradients
        atol = 2e-4 if native else 1e-3
        for a, b in zip(results(norm, images, grad), expected, strict=True):
            torch.testing.assert_close(a.double(), b.double(), rtol=1e-3, atol=atol)
        assert int(norm.num_batches_tracked) == 1


@pytest.mark.parametrize("added", [False, True])
def test_bfloat16_images_are_float32_inside(added):
    if load_library(SOURCE) is None:
        pytest.skip("no C++ compiler")
    norm, images, grad = made((2, 32, 6, 7), torch.bfloat16, True, added)
    expected = reference(norm, images, grad.bfloat16())
    found = results(norm, images, grad)
    assert found[0].dtype == found[1].dtype == torch.bfloat16
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.double(), b.double(), rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(norm.running_mean.double(), expected[-2], rtol=1e-5, atol=1e-5)


def test_threads_change_nothing(set_threads):
    if load_library(SOURCE) is None:
        pytest.skip("no C++ compiler")
    found = []
    for threads in (1, 3):
        set_threads(threads)
        found.append(results(*made((4, 48, 20, 20), torch.float32, True, True)))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_nan_and_infinity_come_through():
    if load_library(SOURCE) is None:
        pytest.skip("no C++ compiler")
    for dtype in (torch.float32, torch.bfloat16):
        for bad in (float("nan"), float("inf")):
            norm, images, _ = made((2, 16, 4, 4), dtype, True, False)
            with torch.no_grad():
                images[0][1, 3, 2, 2] = bad
            y = norm(images[0])
            assert y[:, 3].isnan().any()
            assert not y[:, 4].isnan().any()


def test_evaluation_uses_running_statistics():
    norm, images, _ = made((2, 16, 4, 4), torch.float32, True, True)
    norm.running_mean.fill_(2.0)
    norm.eval()
    x, residual = images
    scale = norm.weight / (1 + norm.eps) ** 0.5
    expected = ((x - 2) * scale[:, None, None] + norm.bias[:, None, None] + residual).clamp(min=0)
    torch.testing.assert_close(norm(x, residual), expected)
