"""The n-gram model that settings name."""

import pytest

from s2s_asr.search.fusion import word_fusion
from s2s_asr.search.settings import SearchSettings
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer(" ab")


def test_settings_become_a_model_with_weights(arpa, tmp_path):
    assert word_fusion(SearchSettings(), TOKENIZER, (0.3, 2.0)) is None
    fusion = word_fusion(SearchSettings(lm=arpa), TOKENIZER, (0.3, 2.0))
    assert (fusion.weight, fusion.bonus, fusion.unknown_penalty) == (0.3, 2.0, -20.0)
    assert sorted(fusion.scorer.words[k] for k in fusion.lexicon.word if k >= 0) == ["a", "ab", "ba"]
    (tmp_path / "words.txt").write_text("ba\nabba\n")
    settings = SearchSettings(lm=arpa, lexicon=str(tmp_path / "words.txt"), unknown_penalty=-3.0)
    fewer = word_fusion(settings, TOKENIZER, (0.3, 2.0))
    assert [fewer.scorer.words[k] for k in fewer.lexicon.word if k >= 0] == ["ba"]
    assert fewer.unknown_penalty == -3.0


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.arpa: No such file"):
        word_fusion(SearchSettings(lm=str(tmp_path / "absent.arpa")), TOKENIZER, (0.3, 2.0))
