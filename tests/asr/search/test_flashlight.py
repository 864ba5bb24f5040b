import pytest
import torch

from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import NO_LEXICON, SearchSettings
from s2s_core.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer(" ab")
PACKAGES = ("flashlight.lib.text", "kenlm")


def test_flashlight_takes_a_model_over_labels(tmp_path):
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"the package {package} is not installed")
    unigrams = "-99\t<s>\t0\n-1\t</s>\n-9\t<unk>\n-0.1\tb\t0\n-3\ta\n-3\t|\n"
    model = f"\\data\\\nngram 1=6\nngram 2=1\n\n\\1-grams:\n{unigrams}\n\\2-grams:\n-0.1\tb b\n\n\\end\\\n"
    (tmp_path / "labels.arpa").write_text(model)
    log_probs = torch.tensor([[-9.0, -1.0, -1.1, -4.0]]).expand(3, -1)
    texts = []
    for lm in (None, str(tmp_path / "labels.arpa")):
        with Searcher(SearchSettings("flashlight", lm, NO_LEXICON), TOKENIZER) as searcher:
            texts.append(searcher.submit(log_probs).hypotheses[0].text)
    assert texts == ["a", "b"]
