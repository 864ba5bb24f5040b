"""Sums of token and position vectors, in both layouts and step by step."""

import pytest
import torch

from s2s_core.nn.embedding import Embedding
from s2s_core.nn.frames import PackedFrames, PaddedFrames
from s2s_core.nn.positions import sinusoids
from s2s_core.nn.token_input import TokenInput

TOKENS, LENGTHS = torch.tensor([[3, 1, 4], [1, 5, 9]]), [3, 2]


@pytest.mark.parametrize("layout", [PackedFrames(LENGTHS, 3), PaddedFrames(torch.tensor(LENGTHS), 3)])
def test_sums(layout):
    torch.manual_seed(0)
    embedding = Embedding(11, 8, scaled=True)
    token_input = TokenInput(8, "sinusoidal", 0, dropout=0.0)
    found = layout.leave(token_input(TOKENS, layout, embedding))
    expected = embedding(TOKENS) + sinusoids(torch.arange(3), 8)
    expected[1, 2] = 0.0
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(token_input.step(TOKENS[:, 1], 1, embedding), expected[:, 1])


def test_half_precision_stays():
    embedding, token_input = Embedding(11, 8).bfloat16(), TokenInput(8, "sinusoidal", 0, dropout=0.0)
    assert token_input(TOKENS, PackedFrames(LENGTHS, 3), embedding).dtype == torch.bfloat16


def test_dropout_is_of_training_only():
    token_input, embedding = TokenInput(8, "learned", 3, dropout=0.5), Embedding(11, 8)
    layout = PackedFrames(LENGTHS, 3)
    assert (token_input(TOKENS, layout, embedding) == 0).float().mean() > 0.1
    assert token_input.eval()(TOKENS, layout, embedding).all()
