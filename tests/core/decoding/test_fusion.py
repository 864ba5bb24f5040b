"""Fused models against an exhaustive search over their weighted sum."""

import itertools

import pytest
import torch

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.fusion import Fused, FusedState, ScorerStepper
from s2s_core.testing.table_stepper import TableState, TableStepper

VOCAB, DEPTH, END = 3, 4, 2


class LogProbs:
    """A table whose scores are log probabilities, for the first ``vocab_size`` tokens in the order given."""

    def __init__(self, seed):
        self.table = TableStepper(VOCAB, DEPTH, seed=seed)
        self.vocab_size = VOCAB

    def step(self, tokens, state):
        logits, state = self.table.step(tokens, state)
        return logits.log_softmax(-1), state


def root():
    return TableState(torch.tensor([0]), torch.tensor([-1]))


def log_probability(stepper, tokens):
    state, total = root(), 0.0
    for before, token in zip([END, *tokens[:-1]], tokens, strict=True):
        scores, state = stepper.step(torch.tensor([before]), state)
        total += float(scores[0, token])
    return total


def test_the_search_finds_the_best_weighted_sum():
    models, weights = [LogProbs(1), LogProbs(5)], [0.7, 0.4]
    search = BeamSearch(beam_width=VOCAB**DEPTH, length_penalty=0.0, max_length_ratio=0.0, max_length_extra=DEPTH)
    fused = Fused(models, weights)
    (found,) = search(fused, FusedState([root(), root()]), torch.tensor([0]), END, END, normalise=False)
    texts = [(*ids, END) for n in range(DEPTH) for ids in itertools.product(range(END), repeat=n)]

    def score(text):
        return sum(w * log_probability(model, text) for w, model in zip(weights, models, strict=True))

    best = max(texts, key=score)
    assert (*found[0].tokens, END) == best
    assert found[0].score == pytest.approx(score(best), abs=1e-5)
    alone = max(texts, key=lambda text: log_probability(models[0], text))
    assert alone != best, "the second model must have a say"


def test_a_model_without_weight_is_not_asked():
    class Refuses:
        vocab_size = VOCAB

        def step(self, tokens, state):
            raise AssertionError

    scores, _ = Fused([LogProbs(0), Refuses()], [1.0, 0.0]).step(torch.tensor([END]), FusedState([root(), root()]))
    expected, _ = LogProbs(0).step(torch.tensor([END]), root())
    torch.testing.assert_close(scores, expected)


def test_a_scorer_speaks_its_own_tokens():
    class Scorer(LogProbs):
        begin_id, end_id = 1, 0

    scorer = Scorer(0)
    stepper = ScorerStepper(scorer, torch.tensor([2, 1, 0]), start_token=END)
    scores, state = stepper.step(torch.tensor([END]), root())
    expected, after = scorer.step(torch.tensor([1]), root())
    torch.testing.assert_close(scores, expected[:, [2, 1, 0]])
    again, _ = stepper.step(torch.tensor([0]), state)
    expected, _ = scorer.step(torch.tensor([2]), after)
    torch.testing.assert_close(again, expected[:, [2, 1, 0]])


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="1 weights for 2 models"):
        Fused([LogProbs(0), LogProbs(1)], [1.0])
    with pytest.raises(ValueError, match="negative"):
        Fused([LogProbs(0)], [-1.0])
    other = LogProbs(1)
    other.vocab_size = 7
    with pytest.raises(ValueError, match=r"\[3, 7\]"):
        Fused([LogProbs(0), other], [1.0, 1.0])
