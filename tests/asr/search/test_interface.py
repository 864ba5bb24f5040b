"""What every search with language models offers."""

import pytest

from s2s_asr.search.interface import TextSearcher
from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_asr.search.spelling import SpellingSearcher
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer


class Closed(TextSearcher):
    """Counts how often it is closed."""

    closed = 0

    def search_batch(self, seen, lengths):
        return []

    def each(self, utterances):
        yield from ()

    def close(self):
        self.closed += 1


def searcher(settings=None):
    return Closed(settings or SearchSettings(), CharTokenizer(" ab"), "cpu")


def test_both_searches_are_of_the_kind():
    assert issubclass(Searcher, TextSearcher)
    assert issubclass(SpellingSearcher, TextSearcher)
    with pytest.raises(TypeError, match="abstract"):
        TextSearcher(SearchSettings(), CharTokenizer(" ab"), "cpu")


def test_labels_are_written_as_transcripts_are():
    assert searcher().text([0, 1, 0, 0, 2, 1, 0]) == "a ba"
    assert searcher().text([]) == ""


def test_leaving_it_closes_it_also_by_an_error():
    with searcher() as one:
        assert one.closed == 0
    assert one.closed == 1
    other = searcher()
    with pytest.raises(ZeroDivisionError), other:
        _ = 1 / 0
    assert other.closed == 1


def test_a_rescoring_model_that_is_none_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.arpa"):
        searcher(SearchSettings(rescore=str(tmp_path / "absent.arpa")))
