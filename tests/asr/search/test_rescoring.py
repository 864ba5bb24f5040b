import torch

from s2s_asr.search.ranking import Ranking
from s2s_asr.search.rescoring import Rescorer
from s2s_asr.search.searcher import Searcher
from s2s_asr.search.settings import SearchSettings
from s2s_core.text.tokenizers import CharTokenizer

LABELS = " ab"
BLANK = len(LABELS)
TOKENIZER = CharTokenizer(LABELS)


class Likes:
    """Scores a text by how often it holds a word."""

    vocab_size, begin_id, end_id = 2, 0, 0

    def __init__(self, word):
        self.word, self.asked = word, []

    def encode(self, text):
        return [int(word == self.word) for word in text.split()]

    def score(self, sequences, ends=True):
        self.asked += sequences
        return [float(sum(ids)) for ids in sequences]


def test_a_rescoring_model_changes_the_order_and_is_asked_once_a_text(tmp_path):
    log_probs = torch.full((3, BLANK + 1), -5.0)
    log_probs[torch.arange(3), torch.tensor([1, BLANK, 1])] = 0.0
    log_probs = log_probs.log_softmax(-1)
    log_probs[2, 2] = log_probs[2, 1] - 0.5
    arpa = tmp_path / "unused.arpa"
    arpa.write_text("\\data\\\nngram 1=2\n\\1-grams:\n-1 <s>\n-1 </s>\n\\end\\\n")
    settings = SearchSettings(rescore=str(arpa), rescore_weight=1.0, nbest=2)
    with Searcher(settings, TOKENIZER) as searcher:
        scorer = Likes("ab")
        searcher._ranking = Ranking(settings, Rescorer(scorer))
        found = searcher.submit(log_probs).hypotheses
        count = len(scorer.asked)
        again = searcher.submit(log_probs).hypotheses
    assert [one.text for one in found] == ["ab", "aa"]
    assert found[0].acoustic < found[1].acoustic
    assert [one.score for one in found] == [one.acoustic + one.rescoring for one in found]
    assert again == found
    assert len(scorer.asked) == count > 0
