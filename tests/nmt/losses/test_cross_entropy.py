"""What the loss divides by, and its settings; its formula is tested with the shared one."""

import pytest
import torch
from torch.nn import functional as F

from s2s_nmt.losses.cross_entropy import CrossEntropyLoss


@pytest.mark.parametrize(("reduction", "weight"), [("token", 9), ("sentence", 3)])
def test_reductions(reduction, weight):
    torch.manual_seed(0)
    logits, tokens = torch.randn(9, 5), torch.randint(5, (9,))
    found = CrossEntropyLoss(0.2, reduction)(logits, tokens, torch.tensor([4, 2, 3]))
    expected = F.cross_entropy(logits.double(), tokens, label_smoothing=0.2, reduction="sum")
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert found.weight == weight


def test_empty_sentences_do_not_count():
    found = CrossEntropyLoss(reduction="sentence")(torch.zeros(3, 5), torch.tensor([1, 2, 3]), torch.tensor([0, 3]))
    assert found.weight == 1


@pytest.mark.parametrize(("arguments", "message"), [((1.0,), "got 1.0"), ((0.1, "mean"), "got 'mean'")])
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        CrossEntropyLoss(*arguments)
