"""Stacks of recurrent layers against torch.nn, and what goes around and into the layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from s2s_core.nn.recurrent_stack import RecurrentLayers, RecurrentStack

BATCH_SIZES = [3, 2, 2, 1]


def data(features=6):
    torch.manual_seed(1)
    return torch.randn(sum(BATCH_SIZES), features)


@pytest.mark.parametrize(("cell", "peer_class"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_torch(cell, peer_class, bidirectional):
    torch.manual_seed(0)
    stack = RecurrentStack(RecurrentLayers(5, 3, cell), 6, bidirectional=bidirectional)
    peer = peer_class(6, 5, 3, bidirectional=bidirectional)
    for i, layer in enumerate(stack.layers):
        for name, value in layer.named_parameters():
            getattr(peer, name.replace("_l0", f"_l{i}")).data.copy_(value.data)
    found, ends = stack(data(), BATCH_SIZES)
    wanted, state = peer(PackedSequence(data(), torch.tensor(BATCH_SIZES)))
    torch.testing.assert_close(found, wanted.data)
    state = state if isinstance(state, tuple) else (state,)
    for k, part in enumerate(state):
        by_layer = part.unflatten(0, (3, -1)).transpose(1, 2).flatten(2)
        torch.testing.assert_close(torch.stack([end[k] for end in ends]), by_layer)


@pytest.mark.parametrize("cell", ["lstm", "gru", "layer_norm_lstm"])
def test_steps_equal_sequences(cell):
    torch.manual_seed(0)
    stack = RecurrentStack(RecurrentLayers(5, 3, cell), 8, skips=[0, 2])
    begin = [tuple(torch.randn(3, 5) for _ in end) for end in stack.initial_state(3, data())]
    wanted, ends = stack(data(8), BATCH_SIZES, begin)
    state, found = begin, []
    for x in data(8).split(BATCH_SIZES):
        out, after = stack.step(x, [tuple(part[: len(x)] for part in layer) for layer in state])
        found.append(out)
        state = [
            tuple(torch.cat((a, b[len(x) :])) for a, b in zip(new, old, strict=True))
            for new, old in zip(after, state, strict=True)
        ]
    torch.testing.assert_close(torch.cat(found), wanted)
    torch.testing.assert_close(state, ends)


def test_a_skip_adds_the_first_features_of_the_input():
    torch.manual_seed(0)
    skipping = RecurrentStack(RecurrentLayers(5, 1), 8, skips=[0])
    plain = RecurrentStack(RecurrentLayers(5, 1), 8)
    plain.load_state_dict(skipping.state_dict())
    found, _ = skipping(data(8), BATCH_SIZES)
    torch.testing.assert_close(found, plain(data(8), BATCH_SIZES)[0] + data(8)[:, :5])
    with pytest.raises(ValueError, match="layer 0 has 4 inputs"):
        RecurrentStack(RecurrentLayers(5, 1), 4, skips=[0])


@pytest.mark.parametrize("place", ["input", "output"])
def test_dropout_is_of_inputs_or_outputs(place):
    torch.manual_seed(0)
    stack = RecurrentStack(RecurrentLayers(64, 1, **{f"{place}_dropout": 0.25}), 64)
    x = torch.randn(400, 64)
    dropped, plain = stack(x, [400])[0], stack.eval()(x, [400])[0]
    zeros = (dropped == 0).float().mean()
    if place == "output":
        assert 0.24 < zeros < 0.26
        torch.testing.assert_close(dropped[dropped != 0], plain[dropped != 0] / 0.75)
    else:
        assert zeros == 0
        assert not torch.allclose(dropped, plain)


def test_initial_values():
    stack = RecurrentStack(RecurrentLayers(50, 1, forget_bias=1.5, init_range=0.1), 60)
    weights = torch.cat([p.detach().flatten() for p in stack.parameters() if p.dim() > 1])
    assert 0.099 < weights.abs().max() <= 0.1
    assert abs(float(weights.std()) - 0.1 / 3**0.5) < 1e-3
    biases = {name: p for name, p in stack.named_parameters() if p.dim() == 1}
    total = sum(biases.values())
    assert total.tolist() == [0.0] * 50 + [1.5] * 50 + [0.0] * 100


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"hidden_size": 0}, "hidden_size"), ({"cell": "rnn"}, "'rnn'"), ({"input_dropout": 1.0}, "input_dropout")],
)
def test_wrong_values_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        RecurrentLayers(**wrong)
