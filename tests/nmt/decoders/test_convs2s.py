"""The convolutional decoder against torch's convolutions and a written-out attention."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from s2s_nmt.decoders.convs2s import ConvS2SDecoder
from s2s_nmt.gated_convolution import ConvBlock, ConvS2SLayers
from s2s_nmt.interfaces import BOS_ID, Memory

HALF = math.sqrt(0.5)
LAYERS = ConvS2SLayers([ConvBlock(6, 3, 2), ConvBlock(4, 2)], 0.0, 0.0, max_length=8)


def decoder_of(in_features=5, **options):
    torch.manual_seed(0)
    decoder = ConvS2SDecoder(16, in_features, 5, LAYERS, output_dropout=0.0, **options).double()
    for parameter in decoder.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return decoder


def inputs(features=5):
    torch.manual_seed(1)
    values, embedded = torch.randn(2, 1, 4, features).double()
    return values, embedded, torch.tensor([[BOS_ID, 5, 9, 4, 7, 7]])


def apply(layer, x):
    return F.linear(x, layer.weight, layer.bias)


def score(decoder, keys, read, tokens):
    target = decoder.embedding.weight[tokens] + decoder.input.positions.weight[: tokens.shape[1]]
    x = apply(decoder.enter, target)
    for layer, ask, back in zip(decoder.layers, decoder.ask, decoder.read, strict=True):
        taps = layer.taps.weight.unflatten(1, (layer.kernel, -1)).transpose(1, 2)
        found = F.glu(F.conv1d(F.pad(x.mT, (layer.kernel - 1, 0)), taps, layer.taps.bias).mT)
        query = (apply(ask, found) + target) * HALF
        context = (query @ keys.mT).softmax(-1) @ read * math.sqrt(keys.shape[1])
        around = x if layer.skip is None else apply(layer.skip, x)
        x = ((apply(back, context) + found) * HALF + around) * HALF
    return apply(decoder.leave, x)[0] @ decoder.embedding.weight.T


@pytest.mark.parametrize("padding", [0, 3])
def test_equals_the_papers_formulas(padding):
    """The context grows with the root of the true length, whatever the padding."""
    decoder, (values, embedded, tokens) = decoder_of(), inputs()
    wanted = score(decoder, values, (values + embedded) * HALF, tokens)
    padded = [F.pad(part, (0, 0, 0, padding)) for part in (values, embedded)]
    memory = Memory(padded[0], torch.tensor([4]), None, padded[1])
    torch.testing.assert_close(decoder(memory, tokens, torch.tensor([6])), wanted)


def test_a_memory_of_another_size_is_brought_to_the_embeddings():
    decoder, (values, _, tokens) = decoder_of(3), inputs(3)
    keys = apply(decoder.memory, values)
    found = decoder(Memory(values, torch.tensor([4])), tokens, torch.tensor([6]))
    torch.testing.assert_close(found, score(decoder, keys, keys, tokens))


def test_no_gradient_comes_from_the_future():
    decoder, (values, embedded, tokens) = decoder_of(), inputs()
    seen = []
    decoder.input.register_forward_hook(lambda module, given, out: (seen.append(out), out.retain_grad())[0])
    logits = decoder(Memory(values, torch.tensor([4]), None, embedded), tokens, torch.tensor([6]))
    for place in range(6):
        seen[0].grad = None
        logits[place].sum().backward(retain_graph=True)
        reached = seen[0].grad.abs().sum(1) > 0
        # kernels of 3, 3 and 2 see 5 places back
        assert reached.tolist() == [place - 5 <= at <= place for at in range(6)]


def test_attention_is_the_mean_over_layers():
    decoder, (values, embedded, _) = decoder_of(), inputs()
    state = decoder.start(Memory(values, torch.tensor([4]), None, embedded))
    assert state.attention is None
    _, state = decoder.step(torch.tensor([BOS_ID]), state)
    assert state.attention is not None
    assert state.attention.shape == (1, 4)
    assert float(state.attention.sum().detach()) == pytest.approx(1.0)
    assert [part.shape for part in state.past] == [(1, 2, 6), (1, 2, 6), (1, 1, 6)]


def test_outputs():
    with pytest.raises(ValueError, match="output_size 5"):
        ConvS2SDecoder(16, 5, 5, LAYERS, output_size=6)
    untied = ConvS2SDecoder(16, 5, 5, LAYERS, output_size=6, tie_output=False)
    tied = ConvS2SDecoder(16, 5, 5, LAYERS)
    sizes = [sum(p.numel() for p in one.parameters()) for one in (untied, tied)]
    assert sizes[0] - sizes[1] == 16 * 6 + 16 + (4 + 2)  # a weight, biases, and one more feature that is scored
