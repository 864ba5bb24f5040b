"""The convolutional encoder against torch's convolutions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from s2s_nmt.encoders.convs2s import ConvS2SEncoder
from s2s_nmt.gated_convolution import ConvBlock, ConvS2SLayers, WeightNormLinear

LAYERS = ConvS2SLayers([ConvBlock(6, 3, 2), ConvBlock(4, 1)], 0.0, 0.0, max_length=4)


def test_equals_torchs_convolutions():
    torch.manual_seed(0)
    encoder = ConvS2SEncoder(19, 5, LAYERS).double()
    for parameter in encoder.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    tokens = torch.randint(4, 19, (1, 6))
    places = torch.tensor([0, 1, 2, 3, 3, 3])  # those beyond max_length share the last one's vector
    embedded = encoder.embedding.weight[tokens] + encoder.input.positions.weight[places]
    x = F.linear(embedded, encoder.enter.weight, encoder.enter.bias)
    for layer in encoder.layers:
        taps = layer.taps.weight.unflatten(1, (layer.kernel, -1)).transpose(1, 2)
        y = F.glu(F.conv1d(x.mT, taps, layer.taps.bias, padding="same").mT)
        around = x if layer.skip is None else F.linear(x, layer.skip.weight, layer.skip.bias)
        x = (y + around) * math.sqrt(0.5)
    memory = encoder(tokens, torch.tensor([6]))
    torch.testing.assert_close(memory.values, F.linear(x, encoder.leave.weight, encoder.leave.bias))
    torch.testing.assert_close(memory.embedded, embedded)
    assert memory.final is None


def test_the_gradient_is_divided_among_attention_layers():
    gradients = []
    for layers in (None, 3):
        torch.manual_seed(0)
        encoder = ConvS2SEncoder(19, 5, LAYERS, layers)
        memory = encoder(torch.full((1, 4), 7), torch.tensor([4]))
        memory.values.sum().backward()
        gradients.append(encoder.leave.length.grad)
    torch.testing.assert_close(gradients[1] * 6, gradients[0])


def test_weight_normalisation():
    torch.manual_seed(0)
    layer = WeightNormLinear(300, 400, gain=4.0, dropout=0.2)
    assert float(layer.direction.detach().std()) == pytest.approx(math.sqrt(4 * 0.8 / 300), rel=0.02)
    torch.testing.assert_close(layer.weight, layer.direction)  # it starts as its direction
    layer.length.data.fill_(2.5)
    layer.direction.data *= 3
    torch.testing.assert_close(layer.weight.norm(dim=1), torch.full((400,), 2.5))


def test_sizes():
    """A normalised layer has a weight, and a length and a bias an output."""
    encoder = ConvS2SEncoder(24, 5, LAYERS)
    convolutions = 2 * 12 * (3 * 6 + 2) + 8 * (6 + 2) + 4 * (6 + 2)  # the last has 4 channels of 6: its skip is a layer
    wanted = 24 * 5 + 4 * 5 + 6 * (5 + 2) + convolutions + 5 * (4 + 2)
    assert sum(p.numel() for p in encoder.parameters()) == wanted


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="attention_layers must be at least 1"):
        ConvS2SEncoder(19, 5, LAYERS, 0)
    with pytest.raises(ValueError, match="kernel=0"):
        ConvS2SLayers([ConvBlock(4, 0)])
    with pytest.raises(ValueError, match="at least one"):
        ConvS2SLayers([])
