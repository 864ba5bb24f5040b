"""DeepSpeech2: sizes, lengths, and that neither padding nor batch-mates matter."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from s2s_asr.encoders.conv2d import Conv2dSpec, ConvLayer
from s2s_asr.encoders.deepspeech2 import DeepSpeech2Encoder
from s2s_asr.encoders.row_convolution import RowConvolution
from s2s_core.nn.frames import PackedFrames, PaddedFrames

PUBLISHED_CONVS = [Conv2dSpec(32, (11, 41), (2, 2)), Conv2dSpec(32, (11, 21), (1, 2))]
TINY_CONVS = [Conv2dSpec(3, (5, 3), (2, 2)), Conv2dSpec(4, (3, 3), (3, 1))]
VARIANTS = {
    "gru": {},
    "lstm": {"rnn_type": "lstm"},
    "unidirectional with row convolution": {"bidirectional": False, "row_conv_width": 4, "activation_clip": 20.0},
    "no convolutions": {"conv_layers": []},
}


def tiny(**changes) -> DeepSpeech2Encoder:
    torch.manual_seed(0)
    settings = {"conv_layers": TINY_CONVS, "rnn_layers": 2, "rnn_size": 8, "out_features": 6, "dropout": 0.2}
    return DeepSpeech2Encoder(10, **{**settings, **changes})


@pytest.fixture(params=VARIANTS)
def encoder(request) -> DeepSpeech2Encoder:
    return tiny(**VARIANTS[request.param])


def test_an_utterance_does_not_depend_on_its_batch_or_padding(encoder):
    encoder.eval()
    lengths = torch.tensor([9, 30, 17, 2])
    x = torch.randn(4, 33, 10)
    encoded, counts = encoder(x, lengths)
    for row, (length, count) in enumerate(zip(lengths.tolist(), counts.tolist(), strict=True)):
        alone, _ = encoder(x[row : row + 1, :length], lengths[row : row + 1])
        assert alone.shape[1] == count
        torch.testing.assert_close(encoded[row, :count], alone[0], rtol=0, atol=1e-5)
        assert not encoded[row, count:].any()
        assert encoded[row, :count].any()


def test_gradients_reach_every_parameter(encoder):
    encoded, _ = encoder(torch.randn(4, 33, 10), torch.tensor([9, 33, 17, 12]))
    (encoded * torch.randn_like(encoded)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_lengths_follow_the_strides():
    lengths = torch.tensor([1, 2, 6, 7, 30])
    assert tiny().output_lengths(lengths).tolist() == [math.ceil(math.ceil(n / 2) / 3) for n in lengths.tolist()]
    assert tiny()(torch.randn(5, 30, 10), lengths)[0].shape == (5, 5, 6)


def test_both_frame_layouts_train_alike(monkeypatch):
    """The accelerator's padded layout and the CPU's packed one: values, gradients and running statistics."""
    x, lengths = torch.randn(4, 33, 10), torch.tensor([9, 33, 17, 12])
    results = []
    for make in (lambda n, t: PackedFrames(n.tolist(), t), PaddedFrames):
        monkeypatch.setattr("s2s_asr.encoders.deepspeech2.frame_layout", make)
        encoder = tiny(bidirectional=False, row_conv_width=4, dropout=0.0)
        out, _ = encoder(x, lengths)
        out.pow(2).sum().backward()
        results.append([out, *[p.grad for p in encoder.parameters()], *encoder.buffers()])
    for packed, padded in zip(*results, strict=True):
        torch.testing.assert_close(packed, padded, rtol=1e-4, atol=1e-5)


def test_first_layer_equals_torch_on_one_utterance():
    encoder = tiny(conv_layers=TINY_CONVS[:1]).eval()
    layer = encoder.convs[0]
    with torch.no_grad():
        layer.norm.running_mean.normal_()
        layer.norm.weight.normal_()
    x = torch.randn(1, 20, 10)
    got, _ = layer(x, PackedFrames([20], 20))
    y = F.conv2d(x[:, None], layer.conv.weight, stride=2, padding=(2, 1))
    y = F.batch_norm(y, layer.norm.running_mean, layer.norm.running_var, layer.norm.weight, layer.norm.bias, eps=1e-3)
    torch.testing.assert_close(got, F.relu(y).permute(0, 2, 3, 1).flatten(2))


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


def test_row_convolution_looks_ahead_only():
    row = RowConvolution(2, 3)
    x = torch.randn(1, 6, 2)
    wanted = torch.zeros(6, 2)
    for t in range(6):
        for j in range(3):
            if t + j < 6:
                wanted[t] += row.weight[j] * x[0, t + j]
    torch.testing.assert_close(row(x)[0], wanted)


def published(in_features: int, **settings) -> int:
    """Parameters with the CTC decoder's 29 labels."""
    encoder = DeepSpeech2Encoder(in_features, **settings)
    return sum(p.numel() for p in encoder.parameters()) + encoder.out_features * 29 + 29


def test_parameter_counts():
    large = published(160, conv_layers=PUBLISHED_CONVS, rnn_layers=5, rnn_size=800, out_features=1600)
    small = published(96, conv_layers=PUBLISHED_CONVS, rnn_layers=2, rnn_size=512, out_features=1024)
    assert large == 58_971_133  # published: 59.0 M
    assert small == 9_993_469  # published: 10.0 M


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"dropout": 1.0}, "dropout"), ({"rnn_size": 0}, "rnn_size"), ({"row_conv_width": 0}, "width")],
)
def test_wrong_settings_are_named(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        tiny(**changes)


@pytest.mark.parametrize(
    ("kernel", "stride"), [((4, 3), (1, 1)), ((3, 0), (1, 1)), ((3, 3), (0, 1))], ids=["even", "zero", "stride"]
)
def test_wrong_convolutions_are_named(kernel, stride):
    with pytest.raises(ValueError, match="not"):
        Conv2dSpec(3, kernel, stride)


def test_describes_itself():
    encoder = tiny(rnn_type="lstm")
    args = encoder.describe()["init_args"]
    assert args["rnn_type"] == "lstm"
    assert args["conv_layers"][0] == {"out_channels": 3, "kernel": [5, 3], "stride": [2, 2]}
