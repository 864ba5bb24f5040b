import math

import pytest

from s2s_lm.perplexity import perplexities


def test_perplexity_of_subwords_is_per_word_and_of_characters_per_character():
    figures = perplexities(12.0, 10, 4, 24, "subwords")
    assert figures == pytest.approx({"loss": 1.2, "perplexity": math.exp(3), "bits_per_character": 0.5 / math.log(2)})
    assert perplexities(12.0, 24, 4, 24, "characters")["perplexity"] == pytest.approx(math.exp(0.5))
    assert perplexities(1e6, 10, 1, 1, "words")["perplexity"] == math.inf
