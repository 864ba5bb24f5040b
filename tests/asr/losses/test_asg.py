"""ASG against the sum over all paths, in float64."""

import itertools
import math

import pytest
import torch

from s2s_asr.decoders.asg import AsgScores
from s2s_asr.losses.asg import AsgLoss
from s2s_core.testing import draw_sequences, pad

VOCAB, REPLABELS = 2, 1
LABELS = VOCAB + REPLABELS


def transitions():
    return torch.randn(LABELS, LABELS, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def path_score(path, logits, moves):
    frames = sum(float(logits[t, label]) for t, label in enumerate(path))
    return frames + sum(float(moves[a, b]) for a, b in itertools.pairwise(path))


def brute_force(logits, moves, target):
    """``target`` is packed: labels of which none follows itself."""
    everything, spelling = 0.0, 0.0
    for path in itertools.product(range(LABELS), repeat=len(logits)):
        score = math.exp(path_score(path, logits, moves))
        everything += score
        if [label for label, _ in itertools.groupby(path)] == target:
            spelling += score
    return math.log(everything) - math.log(spelling)


@pytest.mark.parametrize(("text", "packed"), [([0], [0]), ([0, 1], [0, 1]), ([1, 1], [1, 2]), ([0, 1, 1], [0, 1, 2])])
def test_all_paths_against_those_that_spell(text, packed):
    (logits,) = draw_sequences([5], LABELS)
    logits = logits.double()[None]
    tokens = torch.tensor([text])
    loss = AsgLoss()(AsgScores(logits, transitions(), REPLABELS), torch.tensor([5]), tokens, torch.tensor([len(text)]))
    assert float(loss.total) == pytest.approx(brute_force(logits[0], transitions(), packed), abs=1e-9)
    assert loss.total.dtype == torch.float64


@pytest.mark.parametrize("reduction", ["utterance", "token"])
def test_a_batch_is_the_sum_of_its_rows_whatever_its_padding(reduction):
    rows = [torch.tensor([0, 1, 1]), torch.tensor([1]), torch.tensor([0, 0])]
    logits = draw_sequences([6, 2, 4], LABELS)
    moves = transitions().float().requires_grad_()
    loss = AsgLoss(reduction)
    alone = [
        loss(AsgScores(a[None], moves, REPLABELS), torch.tensor([len(a)]), b[None], torch.tensor([len(b)]))
        for a, b in zip(logits, rows, strict=True)
    ]
    padded, lengths = pad(logits, filler=50.0, extra=3)
    padded.requires_grad_()
    tokens, counts = pad(rows, extra=2)
    together = loss(AsgScores(padded, moves, REPLABELS), lengths, tokens.long(), counts)
    torch.testing.assert_close(together.total, sum(one.total for one in alone))
    assert float(together.weight) == sum(float(one.weight) for one in alone) == (3 if reduction == "utterance" else 6)
    together.mean.backward()
    assert moves.grad.isfinite().all()
    assert moves.grad.any()
    for row, length in zip(padded.grad, lengths.tolist(), strict=True):
        assert row[:length].any()
        assert not row[length:].any()


def test_what_cannot_be_spelt_is_left_out():
    logits, lengths = pad(draw_sequences([4, 2, 3], LABELS))
    logits.requires_grad_()
    moves = transitions().float().requires_grad_()
    tokens, counts = torch.tensor([[0, 1, 0], [0, 1, 0], [0, 0, 0]]), torch.tensor([3, 3, 0])
    loss = AsgLoss()(AsgScores(logits, moves, REPLABELS), lengths, tokens, counts)
    first = AsgLoss()(AsgScores(logits[:1], moves, REPLABELS), lengths[:1], tokens[:1], counts[:1])
    torch.testing.assert_close(loss.total, first.total)
    assert float(loss.weight) == 3
    loss.total.backward()
    assert logits.grad.isfinite().all()
    assert not logits.grad[1:].any()


def test_half_precision_scores_give_a_float32_loss():
    (logits,) = draw_sequences([5], LABELS)
    arguments = (torch.tensor([5]), torch.tensor([[0, 1]]), torch.tensor([2]))
    moves = transitions()
    low = AsgLoss()(AsgScores(logits[None].half(), moves.half(), REPLABELS), *arguments).total
    assert low.dtype == torch.float32
    full = AsgLoss()(AsgScores(logits[None], moves.float(), REPLABELS), *arguments).total
    torch.testing.assert_close(low, full, rtol=0.01, atol=0.01)


def test_another_reduction_is_refused():
    with pytest.raises(ValueError, match="'mean'"):
        AsgLoss("mean")
