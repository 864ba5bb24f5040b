import pytest

from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_core.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer(" ab")


def test_hotwords_are_preferred(arpa, frames_of_seed):
    pytest.importorskip("pyctcdecode", reason="the package pyctcdecode is not installed")
    log_probs = frames_of_seed(2, 7)
    texts = []
    for hotwords in ((), ("bb",)):
        settings = SearchSettings(hotwords=hotwords, beam_threshold=100.0, decoder="pyctcdecode")
        with Searcher(settings, TOKENIZER) as searcher:
            texts.append(searcher.submit(log_probs).hypotheses[0].text.split())
    assert "bb" not in texts[0]
    assert "bb" in texts[1]
