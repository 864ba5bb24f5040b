"""Served copies against the modules that they serve."""

import pytest
import torch
from torch import nn

from s2s_core.errors import UserError
from s2s_core.nn.embedding import Embedding, Output
from s2s_core.nn.linear import Linear
from s2s_core.nn.serving import ServedLinear, prepare_for_serving


class Net(nn.Module):
    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding
        self.inner = nn.Sequential(Linear(32, 48), nn.LayerNorm(48), nn.Linear(48, 32, bias=False))
        self.output = Output(32, 21, bias=True)

    def forward(self, tokens):
        x = self.inner(self.embedding(tokens))
        return self.output(x), self.embedding.scores(x)


@pytest.fixture
def nets():
    torch.manual_seed(0)
    embedding = Embedding(21, 32)
    return [Net(embedding), Net(embedding)]


@pytest.mark.parametrize(
    ("precision", "int8", "tolerance"), [("fp32", False, 1e-5), ("bf16", False, 0.04), ("fp32", True, 0.04)]
)
def test_served_copies_compute_the_same(nets, precision, int8, tolerance):
    tokens = torch.arange(20).view(4, 5)
    served = prepare_for_serving(nets, precision, int8)
    with torch.inference_mode():
        for net, copy in zip(nets, served, strict=True):
            assert any(isinstance(module, ServedLinear) for module in copy.modules())
            for expected, found in zip(net(tokens), copy(tokens), strict=True):
                assert found.shape == expected.shape == (4, 5, 21)
                difference = (found.float() - expected).abs().max() / expected.abs().max()
                assert difference < tolerance
                if precision != "fp32" or int8:
                    assert difference > 1e-5  # it did something


def test_what_was_shared_is_shared_and_the_originals_are_as_they_were(nets):
    before = [parameter.clone() for net in nets for parameter in net.parameters()]
    first, second = prepare_for_serving(nets, "bf16")
    assert first.embedding is second.embedding
    assert first.inner is not second.inner
    assert not first.training
    assert isinstance(nets[0].inner[0], Linear)
    for old, new in zip(before, (p for net in nets for p in net.parameters()), strict=True):
        assert new.dtype == torch.float32
        assert new.requires_grad
        assert torch.equal(old, new)


def test_an_unknown_precision_is_refused(nets):
    with pytest.raises(ValueError, match="fp16"):
        prepare_for_serving(nets, "fp16")


def test_integers_are_for_the_host():
    with pytest.raises(UserError, match="CPU"):
        prepare_for_serving([nn.Linear(2, 2, device="meta")], int8=True)
