"""Recurrent layers against packed torch.nn.GRU and LSTM, forward and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from s2s_core.nn.rnn import Recurrent, RnnType

LENGTHS = torch.tensor([3, 7, 5, 1, 7])


def peer_of(ours: Recurrent) -> nn.Module:
    kind = nn.GRU if ours.rnn_type is RnnType.GRU else nn.LSTM
    peer = kind(
        ours.input_size,
        ours.hidden_size,
        ours.num_layers,
        batch_first=True,
        bidirectional=ours.bidirectional,
        dtype=ours.weight_hh_l0.dtype,
    )
    peer.load_state_dict(ours.state_dict())
    return peer


def run_peer(peer, x, lengths, state):
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out, end = peer(packed, state[0] if isinstance(peer, nn.GRU) else state)
    out, _ = pad_packed_sequence(out, batch_first=True, total_length=x.size(1))
    return out, end if isinstance(end, tuple) else (end,)


def random_state(ours, batch, dtype):
    shape = (ours.num_layers * (2 if ours.bidirectional else 1), batch, ours.hidden_size)
    parts = 1 if ours.rnn_type is RnnType.GRU else 2
    return tuple(torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(parts))


def value_and_gradients(run, module, x, state):
    x = x.detach().clone().requires_grad_()
    out, end = run(x)
    weighted = [t * torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view_as(t) for t in (out, *end)]
    grads = torch.autograd.grad(sum(t.sum() for t in weighted), [x, *state, *module.parameters()])
    return [out, *end, *grads]


@pytest.mark.parametrize("rnn_type", list(RnnType))
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_equals_packed_torch(rnn_type, bidirectional, num_layers, dtype, tolerance):
    torch.manual_seed(0)
    ours = Recurrent(rnn_type, 6, 19, num_layers, bidirectional).to(dtype)
    peer = peer_of(ours)
    x, state = torch.randn(5, 8, 6, dtype=dtype), random_state(ours, 5, dtype)
    got = value_and_gradients(lambda x: ours(x, LENGTHS, state), ours, x, state)
    wanted = value_and_gradients(lambda x: run_peer(peer, x, LENGTHS, state), peer, x, state)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
