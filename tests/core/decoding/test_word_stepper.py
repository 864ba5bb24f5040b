"""Words label by label against whole texts, and in a search against all texts."""

import itertools

import pytest
import torch

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.fusion import Fused, FusedState
from s2s_core.decoding.word_fusion import WordFusion, label_lexicon
from s2s_core.decoding.word_stepper import WordStepper
from s2s_core.testing.table_stepper import TableState, TableStepper

LABELS = [("", True), ("a", False), ("b", False), ("ba", True)]
END = len(LABELS)
WEIGHTS = [(0.7, 1.3, -2.0), (2.0, -0.5, -10.0), (0.0, 0.0, 0.0)]


def stepper_of(scorer, weight, bonus, penalty):
    fusion = WordFusion(scorer, label_lexicon(scorer, LABELS, str.lower), weight, bonus, penalty)
    return WordStepper(fusion, torch.device("cpu"))


def expected(tokens, scorer, weight, bonus, penalty):
    words = "".join((" " if begins else "") + text for text, begins in (LABELS[t] for t in tokens)).split()
    unknown = sum(word not in scorer.words for word in words)
    return weight * scorer.score([scorer.encode(" ".join(words))])[0] + bonus * len(words) + penalty * unknown


def all_texts(most):
    return [ids for n in range(most + 1) for ids in itertools.product(range(END), repeat=n)]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_steps_of_a_text_add_up_to_its_words(scorer, weights):
    stepper, texts = stepper_of(scorer, *weights), all_texts(5)
    totals = torch.zeros(len(texts), dtype=torch.float64)
    tokens, state = torch.full((len(texts),), END), stepper.start(1).expand(len(texts))
    for place in range(6):
        scores, state = stepper.step(tokens, state)
        text = [ids[place] if place < len(ids) else END for ids in texts]
        running = torch.tensor([place <= len(ids) for ids in texts])
        tokens = torch.tensor(text)
        totals += torch.where(running, scores.gather(1, tokens[:, None])[:, 0], 0.0)
    truth = torch.tensor([expected(ids, scorer, *weights) for ids in texts], dtype=torch.float64)
    torch.testing.assert_close(totals, truth)
    torch.testing.assert_close(torch.tensor(stepper.totals(texts), dtype=torch.float64), truth)
    assert stepper.totals([]) == []


def test_no_label_changes_nothing_and_rows_can_be_chosen(scorer):
    stepper = stepper_of(scorer, 0.7, 1.3, -2.0)
    _, state = stepper.step(torch.tensor([1, 2, 3]), stepper.start(3))
    first, _ = stepper.step(torch.tensor([END, END, END]), state)
    chosen, _ = stepper.step(torch.tensor([END, END]), state.select(torch.tensor([2, 0])))
    torch.testing.assert_close(chosen, first[[2, 0]])


class LogProbs:
    """A table whose scores are log probabilities."""

    def __init__(self, depth):
        self.table, self.vocab_size = TableStepper(END + 1, depth, seed=3), END + 1

    def step(self, tokens, state):
        logits, state = self.table.step(tokens, state)
        return logits.log_softmax(-1), state


def root():
    return TableState(torch.tensor([0]), torch.tensor([-1]))


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_search_with_a_margin_finds_the_best_text(scorer, weights):
    depth, model, words = 4, LogProbs(4), stepper_of(scorer, *weights)
    search = BeamSearch(
        beam_width=(END + 1) ** depth, nbest=3, length_penalty=0.0, max_length_ratio=0.0, max_length_extra=depth,
        patient=True,
    )  # fmt: skip
    state = FusedState([root(), words.start(1)])
    fused = Fused([model, words], [1.0, 1.0])
    (found,) = search(fused, state, torch.tensor([0]), END, END, normalise=False, margin=50.0)

    def score(ids):
        state, total = root(), 0.0
        for before, token in zip([END, *ids], [*ids, END], strict=True):
            scores, state = model.step(torch.tensor([before]), state)
            total += float(scores[0, token])
        return total + expected(ids, scorer, *weights)

    best = sorted(all_texts(depth - 1), key=score, reverse=True)[:3]
    assert [tuple(one.tokens) for one in found] == best
    assert [one.score for one in found] == pytest.approx([score(ids) for ids in best], abs=1e-4)
