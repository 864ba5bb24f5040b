"""Convolutions along time against sums written out, one sequence at a time."""

import pytest
import torch

from s2s_core.nn.conv import Conv, DepthwiseConv
from s2s_core.nn.frames import PackedFrames, PaddedFrames

LENGTHS = [11, 4, 1, 8]


def by_hand(x, weight, bias, stride, dilation, depthwise):
    """One sequence ``(time, channels)``: the sum over taps, frame by frame."""
    taps, reach = weight.shape[1], weight.shape[1] // 2 * dilation
    rows = []
    for centre in range(0, len(x), stride):
        total = torch.zeros(weight.shape[0], dtype=x.dtype) if bias is None else bias.clone()
        for tap in range(taps):
            at = centre - reach + tap * dilation
            if 0 <= at < len(x):
                total = total + (weight[:, tap] * x[at] if depthwise else weight[:, tap] @ x[at])
        rows.append(total)
    return torch.stack(rows)


def layouts(x):
    return [PackedFrames(LENGTHS, x.shape[1]), PaddedFrames(torch.tensor(LENGTHS), x.shape[1])]


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(1, 1, 1), (5, 1, 1), (3, 2, 1), (7, 3, 1), (5, 1, 2), (1, 2, 1)]
)
def test_each_sequence_is_convolved_alone(depthwise, kernel, stride, dilation):
    torch.manual_seed(kernel)
    x = torch.randn(4, 11, 6, dtype=torch.float64)
    conv = DepthwiseConv(6, kernel, stride, dilation) if depthwise else Conv(6, 5, kernel, stride, dilation)
    conv.double()
    bias = None if depthwise else torch.nn.init.normal_(conv.bias).detach()
    for layout in layouts(x):
        after = layout.strided(stride)
        y = after.leave(conv(layout.enter(x), layout))
        for row, length in enumerate(LENGTHS):
            expected = by_hand(x[row, :length], conv.weight.detach(), bias, stride, dilation, depthwise)
            torch.testing.assert_close(y[row, : len(expected)], expected)
            assert not y[row, len(expected) :].any()


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(5, 1, 1), (3, 2, 1), (5, 1, 2), (1, 1, 1)])
@pytest.mark.parametrize("packed", [True, False])
def test_gradients(depthwise, kernel, stride, dilation, packed):
    torch.manual_seed(0)
    conv = (DepthwiseConv(3, kernel, stride, dilation) if depthwise else Conv(3, 2, kernel, stride, dilation)).double()
    x = torch.randn(4, 11, 3, dtype=torch.float64, requires_grad=True)
    layout = layouts(x)[0 if packed else 1]

    def run(x, *weights):
        named = dict(zip([name for name, _ in conv.named_parameters()], weights, strict=True))
        y = torch.func.functional_call(conv, named, (layout.enter(x), layout))
        return layout.strided(stride).leave(y)

    assert torch.autograd.gradcheck(run, (x, *(p.detach().requires_grad_() for p in conv.parameters())))


def test_the_depthwise_start_keeps_the_variance():
    torch.manual_seed(0)
    conv = DepthwiseConv(64, 33)
    x = torch.randn(1, 4000, 64)
    y = conv(x, PackedFrames([4000], 4000))[:, 50:-50]
    assert y.var().item() == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("build", [lambda k: Conv(4, 4, k), lambda k: DepthwiseConv(4, k)])
def test_an_even_kernel_is_refused(build):
    with pytest.raises(ValueError, match="kernel must be odd and positive, got 4"):
        build(4)


def test_a_zero_stride_is_refused():
    with pytest.raises(ValueError, match="stride must be positive, got 0"):
        Conv(4, 4, 3, stride=0)
