"""Smoothed cross entropy against its formula in float64, with gradients, in place and not."""

import pytest
import torch

from s2s_core.losses import sequence
from s2s_core.losses.sequence import smoothed_cross_entropy

ROWS, VOCAB = 13, 7


def formula(logits, tokens, smoothing):
    """``-sum_v q(v) log p(v)``, row by row and token by token."""
    total = logits.new_zeros(())
    for row, token in zip(logits, tokens.tolist(), strict=True):
        probabilities = row.exp() / row.exp().sum()
        for v in range(VOCAB):
            q = smoothing / VOCAB + (1 - smoothing) * (v == token)
            total = total - q * probabilities[v].log()
    return total


@pytest.fixture(params=[1 << 19, 3 * VOCAB], ids=["one chunk", "chunks"], autouse=True)
def _chunks(request, monkeypatch):
    monkeypatch.setitem(sequence.CHUNK_NUMBERS, "cpu", request.param)


@pytest.fixture
def case():
    torch.manual_seed(0)
    return 3 * torch.randn(ROWS, VOCAB, dtype=torch.float64), torch.randint(VOCAB, (ROWS,))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("leaf", [True, False])
def test_is_the_formula(case, smoothing, leaf):
    logits, tokens = case
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = smoothed_cross_entropy(ours if leaf else ours * 1.0, tokens, smoothing)
    expected = formula(theirs, tokens, smoothing)
    torch.testing.assert_close(found, expected)
    (found * 0.3).backward()
    (expected * 0.3).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert torch.equal(ours, logits), "a leaf has lost its values"


def test_padded_columns_stay_out(case):
    logits, tokens = case
    wide = torch.nn.functional.pad(logits, (0, 3), value=50.0).requires_grad_()
    smoothed_cross_entropy((wide * 1.0)[:, :VOCAB], tokens, 0.1).backward()
    theirs = logits.clone().requires_grad_()
    formula(theirs, tokens, 0.1).backward()
    torch.testing.assert_close(wide.grad[:, :VOCAB], theirs.grad)
    assert not wide.grad[:, VOCAB:].any()


def test_bfloat16_is_summed_in_float32(case):
    logits, tokens = case[0].bfloat16(), case[1]
    ours, theirs = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found, expected = smoothed_cross_entropy(ours * 1, tokens, 0.1), formula(theirs, tokens, 0.1)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    found.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad.double(), theirs.grad, atol=1e-3, rtol=1e-2)


def test_large_scores_do_not_overflow():
    logits = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    found = smoothed_cross_entropy(logits, torch.tensor([1]))
    found.backward()
    assert found.item() == pytest.approx(1e4)
    torch.testing.assert_close(logits.grad, torch.tensor([[1.0, -1.0, 0.0]]))


def test_whoever_needs_the_scores_afterwards_is_told(case):
    logits, tokens = case[0].requires_grad_() * 1.0, case[1]
    total = smoothed_cross_entropy(logits, tokens) + logits.square().sum()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward([smoothed_cross_entropy(logits, tokens), total])


def test_no_rows():
    logits = torch.zeros(0, VOCAB, requires_grad=True)
    total = smoothed_cross_entropy(logits, torch.zeros(0, dtype=torch.int64), 0.1)
    total.backward()
    assert total == 0
