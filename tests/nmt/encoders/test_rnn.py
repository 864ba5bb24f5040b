"""Recurrent encoders against torch.nn, and their sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_nmt.encoders.gnmt import GnmtEncoder
from s2s_nmt.encoders.rnn import RnnEncoder

LENGTHS = torch.tensor([3, 6, 1])


def tokens():
    torch.manual_seed(1)
    return torch.randint(4, 19, (3, 6))


def copied(stack, peer):
    for i, layer in enumerate(stack.layers):
        for name, value in layer.named_parameters():
            getattr(peer, name.replace("_l0", f"_l{i}")).data.copy_(value.data)
    return peer


def run_peer(peer, x):
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    out, state = peer(packed)
    return pad_packed_sequence(out, batch_first=True)[0], state


def test_equals_torch():
    torch.manual_seed(0)
    encoder = RnnEncoder(19, 7, RecurrentLayers(5, 2))
    peer = copied(encoder.stack, nn.LSTM(7, 5, 2, bidirectional=True, batch_first=True))
    memory = encoder(tokens(), LENGTHS)
    values, (hidden, cell) = run_peer(peer, encoder.embedding(tokens()))
    torch.testing.assert_close(memory.values, values)
    by_layer = [torch.cat((part[2 * i], part[2 * i + 1]), dim=1) for i in range(2) for part in (hidden, cell)]
    wanted = torch.stack([torch.cat(by_layer[:2], dim=1), torch.cat(by_layer[2:], dim=1)])
    torch.testing.assert_close(memory.final, wanted)


def test_skips_go_around_all_layers_but_the_first():
    torch.manual_seed(0)
    encoder = RnnEncoder(19, 5, RecurrentLayers(5, 3, cell="gru", residual=True), bidirectional=False)
    layers = [nn.GRU(5, 5, batch_first=True) for _ in range(3)]
    x = encoder.embedding(tokens())
    for i, (layer, mine) in enumerate(zip(layers, encoder.stack.layers, strict=True)):
        layer.load_state_dict(mine.state_dict())
        x = run_peer(layer, x)[0] + (x if i else 0)
    real = torch.arange(6) < LENGTHS[:, None]
    torch.testing.assert_close(encoder(tokens(), LENGTHS).values, x * real[..., None])


def test_gnmt_is_one_bidirectional_layer_under_residual_ones():
    torch.manual_seed(0)
    encoder = GnmtEncoder(19, 7, RecurrentLayers(5, 4, residual=True))
    bottom = copied(encoder.bottom, nn.LSTM(7, 5, bidirectional=True, batch_first=True))
    x, _ = run_peer(bottom, encoder.embedding(tokens()))
    for i, mine in enumerate(encoder.top.layers):
        layer = nn.LSTM(10 if i == 0 else 5, 5, batch_first=True)
        layer.load_state_dict(mine.state_dict())
        x = run_peer(layer, x)[0] + (x if i else 0)
    memory = encoder(tokens(), LENGTHS)
    real = torch.arange(6) < LENGTHS[:, None]
    torch.testing.assert_close(memory.values, x * real[..., None])
    assert encoder.out_features == 5
    assert memory.final is not None
    assert memory.final.shape == (3, 3, 10)


def test_only_the_unidirectional_layers_of_gnmt_drop():
    encoder = GnmtEncoder(19, 7, RecurrentLayers(5, 4, input_dropout=0.5))
    drops = [(stack.settings.input_dropout, len(stack.layers)) for stack in (encoder.bottom, encoder.top)]
    assert drops == [(0.0, 1), (0.5, 3)]


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_sizes():
    """4 * hidden * (inputs + hidden) weights and two biases of 4 * hidden a direction; 19 tokens are padded to 24."""
    assert count(RnnEncoder(19, 7, RecurrentLayers(5, 2))) == 24 * 7 + 2 * (4 * 5 * (7 + 5) + 40) + 2 * (
        4 * 5 * (10 + 5) + 40
    )
    gru = RnnEncoder(24, 7, RecurrentLayers(5, 1, cell="gru"), bidirectional=False)
    assert count(gru) == 24 * 7 + 3 * 5 * (7 + 5) + 30
    gnmt = GnmtEncoder(24, 7, RecurrentLayers(5, 3))
    assert count(gnmt) == 24 * 7 + 2 * (4 * 5 * (7 + 5) + 40) + (4 * 5 * (10 + 5) + 40) + (4 * 5 * (5 + 5) + 40)


@pytest.mark.parametrize("kind", [RnnEncoder, GnmtEncoder])
def test_a_scaled_embedding_is_one_whose_weight_is_larger(kind):
    torch.manual_seed(0)
    scaled, plain = kind(19, 9, RecurrentLayers(5, 2), scaled_embedding=True), kind(19, 9, RecurrentLayers(5, 2))
    plain.load_state_dict(scaled.state_dict())
    with torch.no_grad():
        plain.embedding.weight *= 3  # sqrt(9)
    torch.testing.assert_close(scaled(tokens(), LENGTHS).values, plain(tokens(), LENGTHS).values)
