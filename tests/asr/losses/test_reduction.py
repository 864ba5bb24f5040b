from typing import Any

import pytest
import torch
from torch import Tensor

from s2s_asr.losses.asg import AsgLoss
from s2s_asr.losses.cross_entropy import CrossEntropyLoss
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.losses.reduction import ReducedLoss
from s2s_asr.losses.transducer import TransducerLoss
from s2s_core.losses.reduction import LossSum


class Given(ReducedLoss):
    """Takes the scores for the losses of utterances, and leaves out what has no frames."""

    def forward(self, logits: Any, logit_lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        return self._reduced(logits, logit_lengths > 0, token_lengths)


@pytest.mark.parametrize(("reduction", "count"), [("utterance", 3), ("token", 7)])
def test_what_is_left_out_counts_and_gives_no_gradient(reduction, count):
    losses = torch.tensor([1.5, torch.nan, 2.0], requires_grad=True)
    found = Given(reduction)(losses, torch.tensor([4, 0, 2]), torch.zeros(3, 5), torch.tensor([1, 5, 1]))
    assert (float(found.total), float(found.weight)) == (3.5, count)
    assert found.weight.dtype == torch.float32
    found.mean.backward()
    assert losses.grad.tolist() == pytest.approx([1 / count, 0, 1 / count])


@pytest.mark.parametrize("loss", [AsgLoss, CrossEntropyLoss, CtcLoss, TransducerLoss])
def test_another_reduction_is_refused(loss):
    with pytest.raises(ValueError, match="reduction must be 'utterance' or 'token', got 'frame'"):
        loss(reduction="frame")
