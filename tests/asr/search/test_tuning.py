import pytest
import torch

from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings, load_settings
from s2s_asr.search.tuning import FrameCache, Trial, choose, tune
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer(" ab")
ARPA = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-99\t<s>\t0
-0.5\t</s>
-0.1\tab\t0
-3\taa

\\2-grams:
-0.1\tab ab

\\end\\
"""


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return str(path)


def frames():
    """``aa`` is a little more probable than ``ab``, which is what was said."""
    rows = [[-9.0, 0.0, -3.0, -9.0], [-9.0, -9.0, -9.0, 0.0], [-9.0, 0.0, -0.6, -9.0]]
    return [torch.tensor(rows).log_softmax(-1)] * 3


def test_every_combination_is_tried_in_order(arpa):
    counts = []
    with Searcher(SearchSettings(lm=arpa), TOKENIZER) as searcher:
        trials = tune(searcher, frames(), ["ab"] * 3, [0.0, 1.0], [0.0, 1.0], progress=counts.append)
    expected = [(0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0)]
    assert trials == [Trial(alpha, beta, 0.0, wer) for alpha, beta, wer in expected]
    assert counts == list(range(1, 13))


def test_rescoring_weights_are_tried_on_the_lists_of_each_search(arpa):
    with Searcher(SearchSettings(rescore=arpa), TOKENIZER) as searcher:
        trials = tune(searcher, frames(), ["ab"] * 3, [0.0], [0.0], [0.0, 0.01, 0.5])
    assert [trial.wer for trial in trials] == [1.0, 1.0, 0.0]


def test_of_what_is_as_good_the_least_weight_is_chosen():
    def trial(alpha, beta, *errors):
        return Trial(alpha, beta, 0.0, sum(errors) / 40, errors)

    best = trial(1.5, 3.0, 0, 0, 1, 0, 0, 0, 0, 0)
    same = trial(1.0, 2.0, 0, 0, 0, 1, 0, 0, 0, 1)  # 1 worse, 1.66 is a standard error: (0, 0, -1, 1, 0, 0, 0, 1)
    worse = trial(0.0, 0.0, 1, 1, 1, 1, 0, 1, 0, 0)  # 4 worse, 1.41 is one
    assert choose([worse, same, best]) is same
    assert choose([worse, best]) is best
    assert choose([best, trial(1.5, -1.0, *best.errors)]).beta == -1.0


def test_kept_frames_come_back_and_those_of_others_are_refused(tmp_path):
    cache = FrameCache(tmp_path / "frames.pt", ["model", "a.wav"])
    assert cache.load() is None
    cache.save(frames())
    assert all(torch.equal(a, b) for a, b in zip(cache.load(), frames(), strict=True))
    with pytest.raises(UserError, match="another checkpoint or other recordings"):
        FrameCache(tmp_path / "frames.pt", ["model", "b.wav"]).load()
    (tmp_path / "frames.pt").write_text("nothing")
    with pytest.raises(UserError, match="not a file of logits"):
        cache.load()


def test_settings_come_back_from_their_file(tmp_path, arpa):
    settings = SearchSettings(lm=arpa, alpha=0.25, beta=-1.0, beam_width=7, unknown_penalty=-3.0)
    settings.save(tmp_path / "search.json")
    assert SearchSettings(**load_settings(tmp_path / "search.json")) == settings
    (tmp_path / "search.json").write_text('{"alhpa": 1}')
    with pytest.raises(UserError, match="unexpected 'alhpa'"):
        load_settings(tmp_path / "search.json")
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        load_settings(tmp_path / "search.json")
