import pytest

from s2s_asr.search import workers
from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer(" ab")
PACKAGES = {"tensors": [], "flashlight": ["flashlight.lib.text", "kenlm"]}


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["tensors", "flashlight"])
def test_several_jobs_find_the_same(decoder, arpa, frames_of_seed):
    for package in PACKAGES[decoder]:
        pytest.importorskip(package, reason=f"the package {package} is not installed")
    frames = [frames_of_seed(seed, 4 + seed) for seed in range(6)]
    results = []
    for jobs in (1, 2):
        with Searcher(SearchSettings(decoder, arpa, nbest=2), TOKENIZER, jobs=jobs) as searcher:
            submitted = [searcher.submit(one) for one in frames]
            results.append([one.hypotheses for one in submitted])
    assert results[0] == results[1]


@pytest.mark.parametrize(("decoder", "package"), [("pyctcdecode", "pyctcdecode"), ("flashlight", "flashlight")])
def test_a_missing_package_is_named_with_what_to_install(decoder, package, arpa, monkeypatch):
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"needs the package {package}: pip install 's2s-asr\[lm\]'"):
        Searcher(SearchSettings(decoder, arpa), TOKENIZER)
