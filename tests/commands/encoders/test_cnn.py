import pytest
import torch
from torch.nn import functional as F

from s2s_commands.encoders.cnn import CnnEncoder, ConvLayer, DenseLayer, PoolLayer


def test_layers_are_applied_in_order_and_averaged():
    torch.manual_seed(0)
    net = CnnEncoder([ConvLayer(4, 5, 2), PoolLayer("average", 3, 2, 1), ConvLayer(6, norm=True)]).double().eval()
    x = torch.randn(2, 3, 17, 17).double()
    first, _, last = net.convolutions
    with torch.no_grad():
        first[0].bias.normal_()
        last[1].running_mean.normal_()
    y = F.avg_pool2d(F.conv2d(x, first[0].weight, first[0].bias, 2, 2).clamp(min=0), 3, 2, 1)
    y = F.conv2d(y, last[0].weight, None, 1, 1) - last[1].running_mean[:, None, None]
    assert last[0].bias is None
    torch.testing.assert_close(net(x), (y / (1 + 1e-5) ** 0.5).clamp(min=0).mean((2, 3)))
    assert net.out_features == 6


def test_dense_layers_see_every_pixel():
    net = CnnEncoder([ConvLayer(2), PoolLayer("max")], [DenseLayer(5), DenseLayer(4)], 1, 8).eval()
    x = torch.randn(3, 1, 8, 8)
    maps = F.max_pool2d(F.conv2d(x, net.convolutions[0][0].weight, net.convolutions[0][0].bias, 1, 1).relu(), 2)
    hidden = F.linear(maps.flatten(1), net.dense[0][0].weight, net.dense[0][0].bias).relu()
    expected = F.linear(hidden, net.dense[1][0].weight, net.dense[1][0].bias).relu()
    torch.testing.assert_close(net(x), expected)
    assert net.out_features == 4


def test_dropout_is_a_drop_probability():
    net = CnnEncoder([ConvLayer(2, dropout=0.9)], [DenseLayer(4000, dropout=0.9)], 1, 8)
    assert net.convolutions[0][2].p == 0.9
    zeros = (net.dense[0][2](torch.ones(4000)) == 0).float().mean()
    assert 0.85 < zeros < 0.95


def test_a_spec_is_read_from_plain_data():
    from s2s_core.checkpoint import build_task

    spec = CnnEncoder([ConvLayer(4), PoolLayer("max", 3), ConvLayer(5, norm=True)], [DenseLayer(6)]).describe()
    assert spec["init_args"]["layers"][1] == {"pool": "max", "kernel": 3, "stride": 2, "padding": 0}
    task = build_task(
        {
            "class_path": "s2s_commands.image_task.ImageClassification",
            "init_args": {
                "encoder": spec,
                "decoder": {
                    "class_path": "s2s_commands.decoders.linear.LinearHead",
                    "init_args": {"in_features": 6, "num_classes": 3},
                },
                "loss": {"class_path": "s2s_commands.losses.cross_entropy.CrossEntropy"},
                "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
            },
        },
        "test",
    )
    kinds = [type(layer) for layer in task.encoder.describe()["init_args"]["layers"]]
    assert kinds == [dict, dict, dict]
    assert task.encoder.describe() == spec


@pytest.mark.parametrize(
    ("layers", "message"),
    [([PoolLayer("max")], "at least one convolution"), ([ConvLayer(3, 9, padding=0)] * 5, "behind layer 4")],
)
def test_wrong_layers_are_named(layers, message):
    with pytest.raises(ValueError, match=message):
        CnnEncoder(layers)
