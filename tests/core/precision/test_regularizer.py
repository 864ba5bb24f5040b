"""The regulariser against autograd of the penalty it stands for."""

import pytest
import torch
from torch import nn

from s2s_core.precision.regularizer import L2Regularizer


class Everything(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.conv = nn.Conv1d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm1d(4)
        self.rnn = nn.GRU(4, 3, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(6, 2)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, ids):
        x = self.norm(self.conv(self.embedding(ids).transpose(1, 2))).transpose(1, 2)
        return self.linear(self.rnn(x)[0]).square().mean() * self.scale.square().sum()


KERNELS = {
    "conv.weight",
    "norm.weight",
    "rnn.weight_ih_l0",
    "rnn.weight_hh_l0",
    "rnn.weight_ih_l0_reverse",
    "rnn.weight_hh_l0_reverse",
    "linear.weight",
}


def test_equals_autograd_of_half_the_sum_of_squares():
    torch.manual_seed(0)
    model = Everything().double()
    ids = torch.randint(5, (2, 7))
    scale = 0.3
    penalty = sum(scale * p.square().sum() / 2 for name, p in model.named_parameters() if name in KERNELS)
    expected = torch.autograd.grad(model(ids) + penalty, list(model.parameters()))
    model(ids).backward()
    L2Regularizer(scale)(model)
    for (name, param), gradient in zip(model.named_parameters(), expected, strict=True):
        torch.testing.assert_close(param.grad, gradient, msg=lambda text, name=name: f"{name}: {text}")


def test_chooses_kernels_and_gains():
    assert set(L2Regularizer(1.0).regularized(Everything())) == KERNELS


def test_excluded_patterns():
    assert set(L2Regularizer(1.0, exclude=["rnn.*", "*norm.weight"]).regularized(Everything())) == {
        "conv.weight",
        "linear.weight",
    }


def test_a_shared_weight_counts_once():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    model[0].weight.grad = torch.zeros(2, 2)
    L2Regularizer(0.5)(model)
    torch.testing.assert_close(model[0].weight.grad, 0.5 * model[0].weight.detach())


def test_parameters_without_gradients_stay_without():
    model = nn.Linear(2, 2)
    L2Regularizer(0.5)(model)
    assert model.weight.grad is None


def test_negative_scale_is_refused():
    with pytest.raises(ValueError, match="-1"):
        L2Regularizer(-1.0)
