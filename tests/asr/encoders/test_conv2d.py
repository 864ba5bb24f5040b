import pytest
import torch
from torch.nn import functional as F

from s2s_asr.encoders.conv2d import Conv2dSpec, ConvLayer, rectify, time_reach
from s2s_core.nn.frames import PackedFrames, PaddedFrames


def test_a_layer_equals_torch_on_one_utterance():
    layer = ConvLayer(1, Conv2dSpec(3, (5, 3), (2, 2)), norm_momentum=0.5, clip=None).eval()
    with torch.no_grad():
        layer.norm.running_mean.normal_()
        layer.norm.weight.normal_()
    x = torch.randn(1, 20, 10)
    got, layout = layer(x, PackedFrames([20], 20))
    y = F.conv2d(x[:, None], layer.conv.weight, stride=2, padding=(2, 1))
    y = F.batch_norm(y, layer.norm.running_mean, layer.norm.running_var, layer.norm.weight, layer.norm.bias, eps=1e-3)
    torch.testing.assert_close(got, F.relu(y).permute(0, 2, 3, 1).flatten(2))
    assert layout.lengths == [10]


def test_padding_does_not_move_batch_norm():
    """Channels of a padded batch are normalised with the statistics of its real frames."""
    torch.manual_seed(0)
    layer = ConvLayer(1, Conv2dSpec(5, (1, 1)), norm_momentum=0.5, clip=None)
    x, lengths = torch.randn(3, 7, 4) * 3 + 1, torch.tensor([7, 2, 4])
    layout = PaddedFrames(lengths, 7)
    got, _ = layer(layout.enter(x), layout)
    real = x[layout.mask[..., 0]].reshape(-1, 1) * layer.conv.weight.view(1, 5)
    wanted = (real - real.mean(0)) / (real.var(0, unbiased=False) + 1e-3).sqrt()
    torch.testing.assert_close(got[layout.mask[..., 0]].reshape(-1, 5), wanted.relu(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer.norm.running_mean, real.mean(0) / 2)
    torch.testing.assert_close(layer.norm.running_var, 0.5 + real.var(0) / 2)


def test_the_reach_is_what_an_output_sees():
    specs = [Conv2dSpec(1, (5, 1), (2, 1)), Conv2dSpec(1, (3, 1), (3, 1)), Conv2dSpec(1, (7, 1))]
    layers = [ConvLayer(1, spec, norm_momentum=0.5, clip=None).eval() for spec in specs]
    assert time_reach(layers) == (2 + 1 * 2 + 3 * 6, 6)
    x = torch.rand(1, 90, 1).requires_grad_()
    y, layout = x, PackedFrames([90], 90)
    for layer in layers:
        torch.nn.init.ones_(layer.conv.weight)  # nothing is rectified away
        y, layout = layer(y, layout)
    (gradient,) = torch.autograd.grad(y[0, 7, 0], x)
    assert gradient[0, :, 0].nonzero()[:, 0].tolist()[:: 2 * 22] == [7 * 6 - 22, 7 * 6 + 22]


def test_rectify():
    x = torch.tensor([-1.0, 3.0, 30.0])
    assert rectify(x, None).tolist() == [0, 3, 30]
    assert rectify(x, 20.0).tolist() == [0, 3, 20]


@pytest.mark.parametrize(
    ("kernel", "stride"), [((4, 3), (1, 1)), ((3, 0), (1, 1)), ((3, 3), (0, 1))], ids=["even", "zero", "stride"]
)
def test_wrong_convolutions_are_named(kernel, stride):
    with pytest.raises(ValueError, match="not"):
        Conv2dSpec(3, kernel, stride)
