import math

import pytest
import torch
from torch.nn import functional as F

from s2s_commands.losses.cross_entropy import CrossEntropy

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]], dtype=torch.float64)


def test_one_hot_targets_give_the_library_s_loss():
    targets = F.one_hot(torch.tensor([0, 2]), 3)
    for smoothing in (0.0, 0.1, 0.4):
        found = CrossEntropy(smoothing)(LOGITS, targets)
        expected = F.cross_entropy(LOGITS, torch.tensor([0, 2]), label_smoothing=smoothing, reduction="sum")
        torch.testing.assert_close(found.total, expected)
        assert float(found.weight) == 2


def test_mixed_targets_are_compared_as_distributions():
    targets = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    rows = [[math.log(math.exp(x) / sum(math.exp(y) for y in row)) for x in row] for row in LOGITS.tolist()]
    expected = -(0.25 * rows[0][0] + 0.75 * rows[0][1] + rows[1][2])
    assert float(CrossEntropy()(LOGITS, targets).total) == pytest.approx(expected)


def test_rows_without_a_label_count_for_nothing():
    targets = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found, alone = CrossEntropy(0.2)(LOGITS, targets), CrossEntropy(0.2)(LOGITS[1:], targets[1:])
    torch.testing.assert_close(found.total, alone.total)
    assert float(found.weight) == 1


def test_a_smoothing_of_one_is_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\), got 1"):
        CrossEntropy(1.0)
