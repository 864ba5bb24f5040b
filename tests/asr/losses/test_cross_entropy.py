import pytest
import torch

from s2s_asr.losses.cross_entropy import CrossEntropyLoss
from s2s_core.testing import draw_sequences, pad

LABELS, END = 4, 3


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_labels_and_the_end_of_every_row_count_and_nothing_else(smoothing):
    rows = [torch.tensor([1, 0]), torch.tensor([2, 2, 1]), torch.tensor([], dtype=torch.int64)]
    logits = draw_sequences([3, 4, 1], LABELS)
    expected = 0.0
    for scores, ids in zip(logits, rows, strict=True):
        for step, label in enumerate([*ids.tolist(), END]):
            log_probs = scores[step].log_softmax(-1)
            expected -= (1 - smoothing) * float(log_probs[label]) + smoothing * float(log_probs.mean())
    padded, _ = pad(logits, filler=100.0, extra=2)
    padded.requires_grad_()
    tokens, lengths = pad(rows, extra=2)
    tokens = tokens.long()
    tokens[0, 2:] = 1
    loss = CrossEntropyLoss(smoothing)(padded, torch.tensor([9, 9, 9]), tokens, lengths)
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)
    assert float(loss.weight) == 2 + 3 + 0 + 3
    loss.mean.backward()
    for row, scores in zip(padded.grad, logits, strict=True):
        assert row[: len(scores)].any()
        assert not row[len(scores) :].any()


def test_half_precision_scores_give_a_float32_loss():
    logits, tokens = torch.randn(1, 3, LABELS), torch.tensor([[1, 0]])
    loss = CrossEntropyLoss(reduction="utterance")
    low = loss(logits.half(), torch.tensor([3]), tokens, torch.tensor([2]))
    assert low.total.dtype == torch.float32
    assert float(low.weight) == 1
    torch.testing.assert_close(
        low.total, loss(logits, torch.tensor([3]), tokens, torch.tensor([2])).total, rtol=0.01, atol=0.01
    )


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="smoothing"):
        CrossEntropyLoss(1.0)
    with pytest.raises(ValueError, match="'mean'"):
        CrossEntropyLoss(reduction="mean")
