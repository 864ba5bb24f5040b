import itertools
import math

import pytest
import torch
from torch import Tensor

from s2s_asr.losses.ctc import CtcLoss, frames_needed
from s2s_core.errors import UserError


def merged(path):
    return [label for label, _ in itertools.groupby(path)]


def brute_force(logits: Tensor, target: list[int]) -> float:
    """Minus the log of the summed probability of every path that spells the target, from the definition."""
    frames, labels = logits.shape
    blank = labels - 1
    probabilities = logits.double().softmax(dim=-1).tolist()
    total = 0.0
    for path in itertools.product(range(labels), repeat=frames):
        if [label for label in merged(path) if label != blank] == target:
            total += math.prod(probabilities[t][label] for t, label in enumerate(path))
    return -math.log(total) if total else math.inf


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(len(row) for row in rows)
    lengths = torch.tensor([len(row) for row in rows])
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows], dtype=torch.long), lengths


@pytest.mark.parametrize("target", [[], [0], [1], [0, 1], [0, 0], [1, 0, 1], [0, 0, 1], [1, 1, 1]])
@pytest.mark.parametrize("frames", [3, 5, 6])
def test_equals_the_sum_over_every_alignment(target, frames):
    logits = torch.randn(1, frames, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(frames)) * 2
    tokens, lengths = padded([target])
    expected = brute_force(logits[0], target)
    loss = CtcLoss()(logits, torch.tensor([frames]), tokens, lengths)
    if math.isinf(expected):
        assert loss.total.item() == 0
    else:
        torch.testing.assert_close(loss.total.item(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("target", "frames"), [([], 0), ([0], 1), ([0, 1], 2), ([0, 0], 3), ([0, 0, 0], 5), ([0, 0, 1, 1], 6)]
)
def test_frames_needed_is_the_shortest_input_with_an_alignment(target, frames):
    tokens, lengths = padded([target, [1, 1, 0, 1, 1, 1]])
    assert frames_needed(tokens, lengths).tolist() == [frames, 9]
    if frames:
        assert math.isfinite(brute_force(torch.zeros(frames, 3), target))
        assert math.isinf(brute_force(torch.zeros(frames - 1, 3), target))


def test_the_batch_does_not_matter():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 30, 6, generator=generator)
    frames = torch.tensor([30, 12, 21, 7])
    tokens, lengths = padded([[0, 1, 2, 2, 4], [3], [], [1, 1, 1]])
    together = CtcLoss()(logits, frames, tokens, lengths)
    alone = [
        CtcLoss()(logits[i : i + 1, :n], frames[i : i + 1], tokens[i : i + 1, :u], lengths[i : i + 1]).total
        for i, (n, u) in enumerate(zip(frames.tolist(), lengths.tolist(), strict=True))
    ]
    torch.testing.assert_close(together.total, torch.stack(alone).sum())
    assert together.weight.item() == 4


def test_gradient_is_that_of_the_function():
    logits = torch.randn(3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    tokens, lengths = padded([[0, 1, 1], [2], [1, 1, 1, 1]])
    frames = torch.tensor([5, 3, 4])
    assert torch.autograd.gradcheck(lambda x: CtcLoss()(x, frames, tokens, lengths).total, logits)


def test_reductions_weigh_by_utterances_or_tokens():
    logits = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(3))
    tokens, lengths = padded([[0, 1, 2, 3], [2, 2]])
    batch = (logits, torch.tensor([9, 6]), tokens, lengths)
    by_utterance, by_token = CtcLoss()(*batch), CtcLoss(reduction="token")(*batch)
    torch.testing.assert_close(by_utterance.mean, by_utterance.total / 2)
    torch.testing.assert_close(by_token.mean, by_utterance.total / 6)


def test_infeasible_rows_give_neither_loss_nor_gradient_and_leave_the_others_alone():
    logits = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(4), requires_grad=True)
    tokens, lengths = padded([[0, 0, 1], [0, 0, 0], [1, 2]])
    frames = torch.tensor([4, 4, 0])
    loss = CtcLoss()(logits, frames, tokens, lengths)
    loss.total.backward()
    only = CtcLoss()(logits[:1], frames[:1], tokens[:1], lengths[:1])
    torch.testing.assert_close(loss.total, only.total)
    assert loss.weight.item() == 3
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1:].eq(0).all()


def test_infeasible_rows_can_be_refused():
    tokens, lengths = padded([[0], [1, 1, 1]])
    with pytest.raises(UserError, match=r"row 1 .* 3 tokens needs 5 encoder frames.* gives 4"):
        CtcLoss(infeasible="raise")(torch.zeros(2, 4, 3), torch.tensor([4, 4]), tokens, lengths)
    feasible = CtcLoss(infeasible="raise")(torch.zeros(2, 5, 3), torch.tensor([5, 5]), tokens, lengths)
    assert torch.isfinite(feasible.total)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_model_is_not_hidden(bad):
    logits = torch.zeros(2, 6, 3)
    logits[1, 2, 0] = bad
    tokens, lengths = padded([[0, 1], [1]])
    assert not torch.isfinite(CtcLoss()(logits, torch.tensor([6, 6]), tokens, lengths).total)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_logits_are_summed_in_float32(dtype):
    logits = (torch.randn(2, 200, 29, generator=torch.Generator().manual_seed(5)) * 3).to(dtype).requires_grad_()
    tokens, lengths = padded([list(range(20)), [4] * 30])
    frames = torch.tensor([200, 180])
    expected = CtcLoss()(logits.detach().double(), frames, tokens, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = CtcLoss()(logits, frames, tokens, lengths)
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.total.double(), expected.total, rtol=1e-6, atol=0)
    loss.total.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_transcripts_may_all_be_empty():
    loss = CtcLoss(reduction="token")(
        torch.zeros(2, 3, 4), torch.tensor([3, 0]), torch.zeros(2, 0, dtype=torch.long), torch.tensor([0, 0])
    )
    torch.testing.assert_close(loss.mean.item(), 3 * math.log(4))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="mean"):
        CtcLoss(reduction="mean")
    with pytest.raises(ValueError, match="skip"):
        CtcLoss(infeasible="skip")
