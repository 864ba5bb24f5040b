"""DeepSpeech2: sizes, lengths, and that neither padding nor batch-mates matter."""

from __future__ import annotations

import math

import pytest
import torch

from s2s_asr.encoders.conv2d import Conv2dSpec
from s2s_asr.encoders.deepspeech2 import DeepSpeech2Encoder
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


def test_describes_itself():
    encoder = tiny(rnn_type="lstm")
    args = encoder.describe()["init_args"]
    assert args["rnn_type"] == "lstm"
    assert args["conv_layers"][0] == {"out_channels": 3, "kernel": [5, 3], "stride": [2, 2]}
