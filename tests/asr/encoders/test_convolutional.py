import pytest
import torch
from torch.nn import functional as F

from s2s_asr.encoders.conv2d import Conv2dSpec
from s2s_asr.encoders.convolutional import Conv2dEncoder

SPECS = [Conv2dSpec(3, (5, 3), (2, 2)), Conv2dSpec(4, (3, 3), (1, 2))]


def encoder():
    torch.manual_seed(0)
    return Conv2dEncoder(7, SPECS).double().eval()


def test_sizes_follow_the_strides():
    built = encoder()
    assert built.out_features == 4 * 2  # 7 features, halved twice and rounded up
    assert built.output_lengths(torch.tensor([1, 2, 3, 10])).tolist() == [1, 1, 2, 5]
    assert sum(p.numel() for p in built.parameters()) == 3 * 15 + 2 * 3 + 4 * 3 * 9 + 2 * 4


def test_one_utterance_equals_plain_convolutions():
    built = encoder()
    features = torch.randn(1, 10, 7, dtype=torch.float64)
    image = features[:, None]
    for layer, spec in zip(built.layers, SPECS, strict=True):
        image = F.conv2d(image, layer.conv.weight, stride=spec.stride, padding=[k // 2 for k in spec.kernel])
        scale = layer.norm.weight / (layer.norm.running_var + layer.norm.eps).sqrt()
        image = F.relu((image - layer.norm.running_mean[:, None, None]) * scale[:, None, None])
    encodings, lengths = built(features, torch.tensor([10]))
    assert lengths.tolist() == [5]
    torch.testing.assert_close(encodings, image.permute(0, 2, 3, 1).flatten(2))


def test_a_formant_moves_with_its_filter():
    """What a filter finds two bins higher comes out one feature higher: its stride along frequency is two."""
    torch.manual_seed(0)
    built = Conv2dEncoder(12, [Conv2dSpec(2, (3, 3), (1, 2))]).double().eval()
    features = torch.zeros(1, 6, 12, dtype=torch.float64)
    features[:, :, 4:6] = torch.randn(1, 6, 2, dtype=torch.float64)
    low = built(features, torch.tensor([6]))[0].unflatten(2, (-1, 2))
    high = built(features.roll(2, dims=2), torch.tensor([6]))[0].unflatten(2, (-1, 2))
    torch.testing.assert_close(high[:, :, 1:], low[:, :, :-1])


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        Conv2dEncoder(7, [])
