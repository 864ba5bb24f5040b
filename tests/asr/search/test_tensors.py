"""Our own search behind the settings of all back ends."""

import math

import torch

from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_core.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer(" ab")


def test_a_text_has_the_probability_of_all_its_paths():
    # two frames of a, b, space and blank: "a" is a a, a -, - a
    log_probs = torch.tensor([[0.5, 0.1, 0.1, 0.3], [0.4, 0.1, 0.1, 0.4]]).log()
    columns = [2, 0, 1, 3]  # the tokenizer's order: space, a, b, and the blank
    ordered = log_probs[:, columns]
    with Searcher(SearchSettings(decoder="tensors", beam_threshold=100.0), TOKENIZER) as searcher:
        best = searcher.submit(ordered).hypotheses[0]
    assert best.text == "a"
    assert math.isclose(best.acoustic, math.log(0.5 * 0.4 + 0.5 * 0.4 + 0.3 * 0.4), abs_tol=1e-5)
