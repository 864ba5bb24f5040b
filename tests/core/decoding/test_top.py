"""The best of each row against torch's own sorting."""

import pytest
import torch

from s2s_core.decoding.top import BLOCK, log_normalisers, top_tokens


@pytest.mark.parametrize("columns", [3, BLOCK * 4, BLOCK * 8, BLOCK * 8 + 5, 5000])
@pytest.mark.parametrize("count", [1, 3])
def test_the_largest_of_each_row(columns, count):
    logits = torch.randn(50, columns, generator=torch.Generator().manual_seed(columns))
    logits[:, -1] += 4.0  # the last block is not whole
    logits[::2, :7] = -torch.inf
    values, tokens = top_tokens(logits, count)
    expected = logits.sort(dim=1, descending=True).values[:, :count]
    torch.testing.assert_close(values, expected, rtol=0, atol=0)
    torch.testing.assert_close(logits.gather(1, tokens), expected, rtol=0, atol=0)
    assert all(len(set(row)) == count for row in tokens.tolist())


def test_equal_values_are_each_found_once():
    values, tokens = top_tokens(torch.zeros(2, BLOCK * 10), 5)
    assert (values == 0).all()
    assert all(len(set(row)) == 5 for row in tokens.tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_normalisers_make_probabilities(dtype):
    logits = (torch.randn(7, 1000, dtype=torch.float64) * 3).to(dtype)
    normalisers = log_normalisers(logits)
    assert normalisers.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(normalisers.double(), logits.double().exp().sum(dim=1).log(), rtol=0, atol=1e-5)


def test_normalisers_of_logits_that_forbid_tokens():
    logits = torch.randn(20, 30, dtype=torch.float64)
    logits[3, 0] = logits[5, 1:] = -torch.inf
    torch.testing.assert_close(log_normalisers(logits), logits.exp().sum(dim=1).log())
