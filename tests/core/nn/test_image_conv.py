"""Convolutions as products against torch's own."""

import pytest
import torch
from torch.nn import functional as F

from s2s_core.nn import image_conv
from s2s_core.nn.image_conv import ImageConv


@pytest.mark.parametrize("up_to", [image_conv.ALWAYS, 0])
@pytest.mark.parametrize("size", [(5, 7), (8, 8), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_values_and_gradients(kernel, stride, size, up_to, monkeypatch):
    monkeypatch.setattr(image_conv, "limits", lambda _: image_conv.Limits(*[up_to] * 5))
    torch.manual_seed(0)
    conv = ImageConv(6, 4, kernel, stride).double().to(memory_format=torch.channels_last)
    x = torch.randn(3, 6, *size).double().requires_grad_()
    weight = conv.weight.detach().clone().requires_grad_()
    other = x.detach().clone().requires_grad_()
    y, expected = conv(x), F.conv2d(other, weight, None, stride, kernel // 2)
    grad = torch.randn_like(expected)
    y.backward(grad)
    expected.backward(grad)
    for a, b in ((y, expected), (x.grad, other.grad), (conv.weight.grad, weight.grad)):
        torch.testing.assert_close(a, b)
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kernel", [1, 3])
def test_under_autocast_and_without_gradients(kernel):
    torch.manual_seed(0)
    conv, x = ImageConv(16, 32, kernel), torch.randn(2, 16, 4, 4)
    expected = F.conv2d(x, conv.weight, None, 1, kernel // 2)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=3e-2, atol=3e-2)
    y.float().sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(conv(x), expected)
