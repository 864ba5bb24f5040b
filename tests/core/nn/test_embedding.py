"""Embeddings and token scores with padded vocabularies."""

import pytest
import torch

from s2s_core.nn.embedding import Embedding, Output, padded_size


def test_rows_come_in_multiples_of_eight():
    assert [padded_size(n) for n in (1, 8, 9, 32768)] == [8, 8, 16, 32768]
    assert Embedding(11, 4).weight.shape == (16, 4)
    assert Output(4, 11).weight.shape == (16, 4)
    with pytest.raises(ValueError, match="got 0"):
        Embedding(0, 4)


def test_scaling_is_of_vectors_and_not_of_scores():
    torch.manual_seed(0)
    embedding = Embedding(5000, 16, scaled=True)
    tokens = torch.tensor([[3, 1], [4999, 0]])
    torch.testing.assert_close(embedding(tokens), 4 * embedding.weight[tokens])
    assert embedding(torch.arange(5000)).detach().std() == pytest.approx(1.0, rel=0.05)
    x = torch.randn(2, 3, 16)
    torch.testing.assert_close(embedding.scores(x), x @ embedding.weight.T)


@pytest.mark.parametrize("make", [lambda: Embedding(11, 4).scores, lambda: Output(4, 11, bias=True)])
def test_padding_has_no_score_and_gets_no_gradient(make):
    torch.manual_seed(0)
    scores = make()
    owner = getattr(scores, "__self__", scores)
    logits = scores(torch.randn(7, 4))
    assert logits.shape == (7, 11)
    logits.square().sum().backward()
    assert not owner.weight.grad[11:].any()
    assert owner.weight.grad[:11].any(dim=1).all()


def test_output_adds_its_bias():
    output = Output(4, 8, bias=True)
    torch.nn.init.normal_(output.bias)
    x = torch.randn(3, 4)
    torch.testing.assert_close(output(x), x @ output.weight.T + output.bias)
    assert Output(4, 8).bias is None
