"""Prefix probabilities against the sum over all paths."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from s2s_core.decoding.ctc_prefix import CtcPrefix

LABELS, BLANK, END = 2, 2, 2


def spelt(path):
    return tuple(label for label, _ in itertools.groupby(path) if label != BLANK)


def probabilities(log_probs):
    """The probability of each text of one utterance, ``(time, labels + 1)``."""
    found = {}
    for path in itertools.product(range(LABELS + 1), repeat=len(log_probs)):
        p = math.exp(sum(float(log_probs[t, label]) for t, label in enumerate(path)))
        found[spelt(path)] = found.get(spelt(path), 0.0) + p
    return found


@pytest.fixture
def logits():
    return 2 * torch.randn(2, 6, LABELS + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("text", [(), (0,), (0, 0), (1, 0, 1), (0, 0, 1), (1, 1)])
def test_every_next_label_after_every_prefix(logits, text):
    lengths = torch.tensor([6, 4])
    scorer = CtcPrefix(LABELS)
    state = scorer.start(logits, lengths)
    for token in (END, *text):
        steps, state = scorer.step(torch.tensor([token, token]), state)
    for row, length in enumerate(lengths.tolist()):
        texts = probabilities(logits[row, :length].log_softmax(-1))
        whole = sum(p for ids, p in texts.items() if ids[: len(text)] == text)
        for label in range(LABELS):
            prefix = (*text, label)
            longer = sum(p for ids, p in texts.items() if ids[: len(prefix)] == prefix)
            assert math.exp(float(steps[row, label])) == pytest.approx(longer / whole, abs=1e-9)
        assert math.exp(float(steps[row, END])) == pytest.approx(texts.get(text, 0.0) / whole, abs=1e-9)


def test_steps_add_up_to_the_loss(logits):
    text = [0, 0, 1]
    scorer = CtcPrefix(LABELS)
    state = scorer.start(logits[:1], torch.tensor([6]))
    total = 0.0
    for token, following in zip([END, *text], [*text, END], strict=True):
        steps, state = scorer.step(torch.tensor([token]), state)
        torch.testing.assert_close(steps.exp().sum(), torch.ones((), dtype=torch.float64))
        total += float(steps[0, following])
    log_probs = logits[:1].log_softmax(-1).transpose(0, 1)
    loss = F.ctc_loss(log_probs, torch.tensor([text]), torch.tensor([6]), torch.tensor([3]), blank=BLANK)
    assert total == pytest.approx(-3 * float(loss), abs=1e-9)


def test_rows_can_be_spread_and_chosen(logits):
    scorer, lengths = CtcPrefix(LABELS), torch.tensor([6, 4])
    spread = scorer.start(logits, lengths).expand(2)
    _, spread = scorer.step(torch.full((4,), END), spread)
    _, spread = scorer.step(torch.tensor([0, 1, 0, 1]), spread)
    steps, chosen = scorer.step(torch.tensor([1, 0, 1, 1]), spread.select(torch.tensor([1, 0, 3, 3])))
    left, _ = scorer.step(torch.tensor([0, 1]), chosen.select(torch.tensor([2, 3])))
    for row, (utterance, text) in enumerate([(0, [1, 1]), (0, [0, 0]), (1, [1, 1]), (1, [1, 1])]):
        state = scorer.start(logits[[utterance]], lengths[[utterance]])
        for token in (END, *text):
            alone, state = scorer.step(torch.tensor([token]), state)
        torch.testing.assert_close(steps[row], alone[0])
        if row >= 2:
            alone, _ = scorer.step(torch.tensor([row - 2]), state)
            torch.testing.assert_close(left[row - 2], alone[0])


def test_a_text_that_is_too_long_has_no_chance():
    scorer = CtcPrefix(LABELS)
    state = scorer.start(torch.zeros(1, 2, LABELS + 1), torch.tensor([2]))
    for token in (END, 0, 0):
        steps, state = scorer.step(torch.tensor([token]), state)
    assert bool(steps.isfinite().all())
    assert state.prefix.item() < -1e9
