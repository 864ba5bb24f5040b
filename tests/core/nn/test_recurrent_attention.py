"""Scores, weights and contexts of recurrent attention, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2s_core.nn.recurrent_attention import BahdanauAttention, LuongAttention, build_attention

LENGTHS = [4, 2, 5]


def inputs():
    torch.manual_seed(0)
    queries, values = torch.randn(3, 2, 6).double(), torch.randn(3, 5, 7).double()
    return queries, values, torch.arange(5) < torch.tensor(LENGTHS)[:, None]


def attend_in_numpy(score, queries, values):
    """One query and one sentence at a time, real frames only."""
    contexts, weights = np.zeros((3, 2, 7)), np.zeros((3, 2, 5))
    for b, length in enumerate(LENGTHS):
        for q in range(2):
            scores = np.array([score(queries[b, q], values[b, t]) for t in range(length)])
            exponentials = np.exp(scores - scores.max())
            weights[b, q, :length] = exponentials / exponentials.sum()
            contexts[b, q] = weights[b, q, :length] @ values[b, :length]
    return contexts, weights


def check(attention, score):
    queries, values, mask = inputs()
    found = attention(queries, attention.keys(values), values, mask)
    for mine, wanted in zip(found, attend_in_numpy(score, queries.numpy(), values.numpy()), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), wanted, atol=1e-12)


def numbers(parameter):
    return parameter.detach().numpy()


def perturbed(attention):
    attention = attention.double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return attention


def test_bahdanau():
    attention = perturbed(BahdanauAttention(6, 7, 4))
    query, memory, v = map(numbers, (attention.query_weight, attention.memory_weight, attention.score_weight))
    check(attention, lambda q, m: v @ np.tanh(query @ q + memory @ m))


def test_normalised_bahdanau():
    attention = BahdanauAttention(6, 7, 4, normalised=True)
    assert float(attention.gain.detach()) == pytest.approx(0.5)  # sqrt(1 / 4)
    assert not attention.bias.any()
    perturbed(attention)
    query, memory, v = map(numbers, (attention.query_weight, attention.memory_weight, attention.score_weight))
    gain, bias = numbers(attention.gain), numbers(attention.bias)
    check(attention, lambda q, m: gain * v / np.sqrt((v * v).sum()) @ np.tanh(query @ q + memory @ m + bias))


@pytest.mark.parametrize("scaled", [False, True])
def test_luong(scaled):
    attention = LuongAttention(6, 7, scaled)
    assert (attention.gain is not None) == scaled
    assert not scaled or float(attention.gain.detach()) == 1.0
    perturbed(attention)
    memory, gain = numbers(attention.memory_weight), numbers(attention.gain) if scaled else 1.0
    check(attention, lambda q, m: gain * (q @ memory @ m))


def test_names_and_sizes():
    assert isinstance(build_attention("bahdanau", 6, 7, None, False), BahdanauAttention)
    assert build_attention("bahdanau", 6, 7, 3, True).memory_weight.shape == (3, 7)
    assert build_attention("luong", 6, 7, 6, True).memory_weight.shape == (6, 7)
    with pytest.raises(ValueError, match="size of its queries, 6, got 5"):
        build_attention("luong", 6, 7, 5, False)
    with pytest.raises(ValueError, match="'dot'"):
        build_attention("dot", 6, 7, 5, False)
