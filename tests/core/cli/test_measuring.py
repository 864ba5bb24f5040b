"""What a step is made of: its arithmetic and its padding."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from s2s_core.cli.measuring import forward_flops, padding_of
from s2s_core.nn.rnn import Recurrent


@dataclass
class Padded:
    audio: torch.Tensor
    audio_lengths: torch.Tensor


def test_padding_is_the_share_of_what_is_not_real():
    assert padding_of(Padded(torch.zeros(2, 10), torch.tensor([10, 5]))) == pytest.approx(0.25)
    assert padding_of(torch.zeros(2, 10)) == 0.0


@pytest.mark.parametrize("cell", ["GRU", "LSTM"])
def test_recurrent_layers_count_as_their_products(cell):
    gates, lengths = {"GRU": 3, "LSTM": 4}[cell], torch.tensor([6, 4])
    frame = 2 * sum(2 * gates * 5 * (size + 5) for size in (8, 10))  # two directions of two layers of 5
    fused = getattr(nn, cell)(8, 5, num_layers=2, bidirectional=True, batch_first=True)
    x = torch.zeros(2, 6, 8)
    assert forward_flops(fused, lambda: fused(x)) == 12 * frame
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    assert forward_flops(fused, lambda: fused(packed)) == 10 * frame
    ours = Recurrent(cell.lower(), 8, 5, num_layers=2, bidirectional=True)
    model = nn.Sequential(ours, nn.Linear(10, 3))
    assert forward_flops(model, lambda: model[1](ours(x, lengths)[0])) == 10 * frame + 12 * 2 * 10 * 3


def test_products_by_another_library_count_too():
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    x, weight = torch.zeros(40, 64), torch.zeros(32, 64)
    product = torch.ops.mkldnn._linear_pointwise
    assert forward_flops(nn.Identity(), lambda: product(x, weight, None, "none", [], "")) == 2 * 40 * 64 * 32


def test_counting_leaves_no_hooks():
    gru = nn.GRU(8, 5)
    forward_flops(gru, lambda: gru(torch.zeros(2, 1, 8)))
    assert not gru._forward_hooks
    assert not gru._forward_pre_hooks
