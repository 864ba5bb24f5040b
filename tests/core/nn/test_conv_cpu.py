"""Rewritten gradients against torch's own, at sizes where the fast kernels and the chunks come in."""

import pytest
import torch
from torch.nn import functional as F

from s2s_core.nn import conv_cpu


def gradients(function, *leaves):
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    y = function(*leaves)
    torch.manual_seed(1)
    y.backward(torch.randn(y.shape).to(y.dtype))
    return [y, *(leaf.grad for leaf in leaves)]


def close(ours, torchs, share):
    for a, b in zip(ours, torchs, strict=True):
        assert (a.double() - b.double()).abs().max() <= share * b.double().abs().max()


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(7, 1, 1), (11, 2, 1), (5, 1, 2), (3, 3, 1), (301, 1, 1)])
@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_dense(kernel, stride, dilation, dtype, share):
    torch.manual_seed(0)
    x, weight = torch.randn(1, 203, 128).to(dtype), torch.randn(160, kernel, 128).to(dtype)

    def plain(x, weight):
        return F.conv1d(x.mT, weight.mT, None, stride, kernel // 2 * dilation, dilation).mT

    wide = gradients(plain, x.float(), weight.float())
    close(gradients(lambda x, w: conv_cpu.DenseConv.apply(x, w, stride, dilation), x, weight), wide, share)


@pytest.mark.parametrize("kernel", [1, 33, 75])
@pytest.mark.parametrize(("rows", "time"), [(1, 1300), (3, 40)])
@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_depthwise(kernel, rows, time, dtype, share):
    torch.manual_seed(0)
    assert 40 < conv_cpu.CHUNK < 1300
    x, weight = torch.randn(rows, time, 32).to(dtype), torch.randn(32, kernel).to(dtype)

    def plain(x, weight):
        return F.conv1d(x.mT, weight[:, None], None, padding=kernel // 2, groups=32).mT

    wide = gradients(plain, x.float(), weight.float())
    close(gradients(conv_cpu.DepthwiseConv.apply, x, weight), wide, share)


def test_image_is_channels_last_whatever_the_strides():
    x = torch.randn(9, 4).as_strided((1, 9, 4), (1, 4, 1))
    image = conv_cpu.image(x)
    assert image.stride() == (36, 1, 36, 4)
    assert torch.equal(conv_cpu.frames(image), x)
