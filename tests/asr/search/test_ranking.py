"""Different texts in the order of their scores."""

import pytest

from s2s_asr.search.hypotheses import Hypothesis
from s2s_asr.search.ranking import Ranking
from s2s_asr.search.settings import SearchSettings
from s2s_core.errors import UserError

FOUND = [
    (Hypothesis("a", -2.0, 0.5), "first"),
    (Hypothesis("b", -1.8, 0.1), "second"),
    (Hypothesis("a", -1.0, 0.0), "a again"),
    (Hypothesis("c", -9.0, 8.0), "fourth"),
]


class Lengths:
    """Likes the last letters."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.append(texts)
        return [float(ord(text)) for text in texts]


def test_the_first_of_each_text_counts_and_the_best_are_first():
    ranking = Ranking(SearchSettings(nbest=2))
    assert [(one.text, tag) for one, tag in ranking.ranked(FOUND)] == [("c", "fourth"), ("a", "first")]
    assert [tag for _, tag in ranking.scored(FOUND)] == ["first", "second", "fourth"]


def test_a_rescoring_model_hears_the_best_of_the_search_with_its_weight():
    rescorer = Lengths()
    ranking = Ranking(SearchSettings(nbest=1, rescore_weight=3.0, rescore_nbest=2), rescorer)
    ((best, tag),) = ranking.ranked(FOUND)
    assert (best.text, tag) == ("b", "second")
    assert best.score == pytest.approx(-1.8 + 0.1 + 3.0 * ord("b"))
    assert rescorer.asked == [["a", "b"]]


def test_a_model_that_is_none_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.ckpt"):
        Ranking.load(SearchSettings(rescore=str(tmp_path / "absent.ckpt")))
