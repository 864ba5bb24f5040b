import copy

import pytest
import torch

from s2s_lm import recurrent_layer
from s2s_lm.packing import Packing
from s2s_lm.recurrent_layer import RecurrentLayer


@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
def test_is_torchs_layer_with_the_dropped_matrix(monkeypatch, rnn_type):
    torch.manual_seed(0)
    layer = RecurrentLayer(rnn_type, 5, 7, weight_dropout=0.5).train()
    mask = (torch.rand(layer.weight_hh_l0.shape) < 0.5).float() * 2
    monkeypatch.setattr(recurrent_layer, "dropout", lambda weight, probability: weight * mask)
    reference = (torch.nn.LSTM if rnn_type == "lstm" else torch.nn.GRU)(5, 7, batch_first=True)
    reference.load_state_dict(copy.deepcopy(layer.state_dict()))
    with torch.no_grad():
        reference.weight_hh_l0 *= mask
    inputs = torch.randn(3, 6, 5)
    state = tuple(torch.randn(3, 7) for _ in range(2 if rnn_type == "lstm" else 1))
    packing = Packing(3, 6, None, inputs.device)
    frames, ends = layer(packing.pack(inputs), packing, state)
    hx = tuple(part[None] for part in state)
    expected, last = reference(inputs, hx if rnn_type == "lstm" else hx[0])
    torch.testing.assert_close(packing.unpack(frames), expected, rtol=1e-4, atol=1e-5)
    for end, theirs in zip(ends, last if rnn_type == "lstm" else (last,), strict=True):
        torch.testing.assert_close(end, theirs[0], rtol=1e-4, atol=1e-5)
    packing.unpack(frames).square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(
        layer.weight_hh_l0.grad, reference.weight_hh_l0.grad * mask, rtol=1e-3, atol=1e-4, check_dtype=False
    )


def test_masks_are_drawn_anew_in_training_only():
    layer = RecurrentLayer("lstm", 5, 7, weight_dropout=0.5)
    inputs, packing = torch.randn(12, 5), Packing(3, 4, None, torch.device("cpu"))
    state = (torch.zeros(3, 7), torch.zeros(3, 7))
    assert not torch.equal(layer.train()(inputs, packing, state)[0], layer(inputs, packing, state)[0])
    assert torch.equal(layer.eval()(inputs, packing, state)[0], layer(inputs, packing, state)[0])
