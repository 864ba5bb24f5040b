"""Back-off probabilities by hand, and files that are none."""

import math

import pytest
import torch

from s2s_core.decoding.arpa import ArpaScorer
from s2s_core.errors import UserError

TEXTS = {
    "a ab": -0.3 - 0.05 + (-0.2 - 0.2 - 0.9),  # the end backs off from "a ab", then from "ab"
    "ba a": -0.1 - 0.6 - 0.15,
    "ab": (-0.4 - 0.7) + (-0.2 - 0.9),
    "zebra": (-0.4 - 1.2) + (-0.1 - 0.9),
    "": -0.4 - 0.9,
}
"""Logarithms to base 10."""


def test_whole_texts_have_the_probabilities_of_the_formula(scorer):
    found = scorer.score([scorer.encode(text) for text in TEXTS])
    assert found == pytest.approx([math.log(10) * value for value in TEXTS.values()])


def test_steps_give_the_same_of_every_next_word(scorer):
    state = scorer.start(len(TEXTS))
    totals, before = [0.0] * len(TEXTS), [scorer.begin_id] * len(TEXTS)
    rows = [[*scorer.encode(text), scorer.end_id] for text in TEXTS]
    for place in range(3):
        log_probs, state = scorer.step(torch.tensor(before), state)
        for row, words in enumerate(rows):
            if place < len(words):
                totals[row] += float(log_probs[row, words[place]])
                before[row] = words[place]
    assert totals == pytest.approx(scorer.score([row[:-1] for row in rows]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"small\.arpa"),
        ("\\data\\\nngram 1=1\n\\1-grams:\n-1 a\n\\end\\\n", "has no <s>"),
        ("\\data\\\nngram 1=2\n\\1-grams:\n-1 <s>\nx </s>\n\\end\\\n", r"small\.arpa:5: .*is no number"),
        ("\\data\\\nngram 1=3\n\\1-grams:\n-1 <s>\n-1 </s>\n\\end\\\n", r"small\.arpa:6: expected entry 3 of 3"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, content, message):
    (tmp_path / "small.arpa").write_text(content)
    with pytest.raises(UserError, match=message):
        ArpaScorer.load(tmp_path / "small.arpa")
