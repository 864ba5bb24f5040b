"""The transducer's loss against a sum over all alignments, and its contracts."""

import itertools

import pytest
import torch

from s2s_asr.losses.transducer import TransducerLoss
from s2s_core.testing import pad

LABELS = 3
BLANK = LABELS


def brute_force(log_probs, tokens):
    """Log-probability of ``tokens``: every way to spread them over the frames, ``(time, tokens + 1, labels + 1)``."""
    time, count = log_probs.shape[0], len(tokens)
    ways = []
    for steps in itertools.combinations(range(time - 1 + count), count):  # the last step is a blank
        t = u = 0
        total = torch.zeros((), dtype=log_probs.dtype)
        for step in range(time + count):
            if step in steps:
                total, u = total + log_probs[t, u, tokens[u]], u + 1
            else:
                total, t = total + log_probs[t, u, BLANK], t + 1
        ways.append(total)
    return torch.stack(ways).logsumexp(0)


def lattices(lengths, counts, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = [torch.randint(LABELS, (n,), generator=generator) for n in counts]
    time, most = max(lengths), max(counts)
    return torch.randn(len(lengths), time, most + 1, LABELS + 1, generator=generator), tokens


def test_the_sum_over_all_alignments():
    lengths, counts = [4, 3, 1], [3, 2, 2]
    logits, tokens = lattices(lengths, counts)
    logits.requires_grad_()
    padded, token_lengths = pad(tokens)
    loss = TransducerLoss()(logits, torch.tensor(lengths), padded, token_lengths)
    wide = logits.detach().double().requires_grad_()
    rows = zip(wide.log_softmax(-1), lengths, tokens, strict=True)
    expected = -sum(brute_force(row[:n, : len(ids) + 1], ids.tolist()) for row, n, ids in rows)
    assert loss.total.dtype == torch.float32
    assert float(loss.weight) == 3
    torch.testing.assert_close(loss.total, expected.float(), rtol=1e-5, atol=1e-5)
    loss.total.backward()
    expected.backward()
    torch.testing.assert_close(logits.grad, wide.grad.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reduction", ["token", "utterance"])
def test_a_batch_is_the_sum_of_its_rows_whatever_its_padding(reduction):
    lengths, counts = [5, 2, 3], [2, 0, 3]
    logits, tokens = lattices(lengths, counts, seed=1)
    loss = TransducerLoss(reduction)
    alone = [
        loss(logits[i : i + 1, :n, : len(ids) + 1], torch.tensor([n]), ids[None], torch.tensor([len(ids)]))
        for i, (n, ids) in enumerate(zip(lengths, tokens, strict=True))
    ]
    big = 100 * torch.randn(3, 9, 7, LABELS + 1)
    padded, token_lengths = pad(tokens, extra=3)
    for i, (n, ids) in enumerate(zip(lengths, tokens, strict=True)):
        big[i, :n, : len(ids) + 1] = logits[i, :n, : len(ids) + 1]
    big.requires_grad_()
    together = loss(big, torch.tensor(lengths), padded, token_lengths)
    torch.testing.assert_close(together.total, sum(one.total for one in alone))
    assert float(together.weight) == sum(float(one.weight) for one in alone)
    together.mean.backward()
    for i, (n, ids) in enumerate(zip(lengths, tokens, strict=True)):
        assert not big.grad[i, n:].any()
        assert not big.grad[i, :, len(ids) + 1 :].any()
        assert big.grad[i, :n, : len(ids) + 1].any()


def test_an_utterance_without_frames_is_left_out():
    logits, tokens = lattices([3, 1], [2, 1])
    logits.requires_grad_()
    padded, token_lengths = pad(tokens)
    both = TransducerLoss()(logits, torch.tensor([3, 0]), padded, token_lengths)
    one = TransducerLoss()(logits[:1], torch.tensor([3]), padded[:1], token_lengths[:1])
    torch.testing.assert_close(both.total, one.total)
    assert float(both.weight) == 2
    both.total.backward()
    assert not logits.grad[1].any()


def test_half_precision_scores_give_a_float32_loss():
    logits, tokens = lattices([4], [2])
    arguments = (torch.tensor([4]), *pad(tokens))
    low = TransducerLoss()(logits.bfloat16(), *arguments).total
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, TransducerLoss()(logits, *arguments).total, rtol=0.02, atol=0.02)


def test_another_reduction_is_refused():
    with pytest.raises(ValueError, match="'mean'"):
        TransducerLoss("mean")
