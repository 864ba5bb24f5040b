"""What a search finds."""

import pytest
import torch

from s2s_core.decoding.hypothesis import CtcHypothesis, Hypothesis


def test_the_alignment_is_where_the_model_looked_most():
    attention = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.0, 0.4, 0.6]])
    assert Hypothesis([4, 5, 6], -1.0, -1.0, True, attention).alignment == [1, 0, 2]
    assert Hypothesis([4, 5, 6], -1.0, -1.0, True).alignment is None


def test_frames_and_words_are_ranked_together():
    assert CtcHypothesis([1, 2], -3.5).score == -3.5
    assert CtcHypothesis([1, 2], -3.5, 1.25).score == pytest.approx(-2.25)
