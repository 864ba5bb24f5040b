"""The search of an attending decoder against all texts."""

import itertools

import pytest
import torch

from s2s_asr.decoders.attention_search import AttentionSearch
from s2s_asr.losses.cross_entropy import CrossEntropyLoss
from s2s_core.testing import draw_sequences, pad

VOCAB = 2
FEATURES = 4


def log_probability(built, seen, ids):
    tokens, lengths = torch.tensor([ids], dtype=torch.int64), torch.tensor([len(ids)])
    scores = built.scores(seen, torch.tensor([seen.values.shape[1]]), tokens, lengths)
    return -float(CrossEntropyLoss()(scores, lengths, tokens, lengths).total)


def texts(most):
    return [list(ids) for n in range(most + 1) for ids in itertools.product(range(VOCAB), repeat=n)]


@torch.no_grad()
def test_the_widest_beam_is_an_exhaustive_search(attention):
    built = attention(search=AttentionSearch(beam_width=32, nbest=5))
    encodings, lengths = pad(draw_sequences([4, 3], FEATURES))
    seen = built(encodings, lengths)
    found = built.search(built, seen, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = built(encodings[row : row + 1, :length], lengths[row : row + 1])
        expected = sorted(((log_probability(built, alone, ids), ids) for ids in texts(length - 1)), reverse=True)
        for text, (log_prob, ids) in zip(found[row], expected[:5], strict=True):
            assert text.tokens == ids
            assert text.log_probability == pytest.approx(log_prob, abs=1e-4)


@torch.no_grad()
def test_coverage_changes_the_ranks(attention):
    built = attention()
    seen, lengths = built(*pad(draw_sequences([6], FEATURES, seed=2))), torch.tensor([6])
    plain = AttentionSearch(8, nbest=8)(built, seen, lengths)[0]
    covered = AttentionSearch(8, nbest=8, coverage_penalty=5.0)(built, seen, lengths)[0]
    assert [text.tokens for text in plain] != [text.tokens for text in covered]
    assert plain[0].score == pytest.approx(plain[0].log_probability)
    assert covered[0].score < covered[0].log_probability


class Constant:
    """A language model that always thinks the same of the next token; its tokens are letters by their code."""

    begin_id, end_id, vocab_size = 1, 0, 128

    def __init__(self, **chances):
        self.log_probs = torch.full((self.vocab_size,), -20.0)
        for letter, value in chances.items():
            self.log_probs[self.end_id if letter == "end" else ord(letter)] = value

    def encode(self, text):
        return [ord(letter) for letter in text]

    def start(self, rows):
        return Rows(rows)

    def step(self, tokens, state):
        return self.log_probs.expand(len(tokens), -1).clone(), state


class Rows:
    attention = None

    def __init__(self, count):
        self.count = count

    def expand(self, width):
        return Rows(self.count * width)

    def select(self, rows):
        return Rows(len(rows))


class Letters:
    vocab_size = VOCAB

    def decode(self, ids):
        return "".join("ab"[i] for i in ids)


def may_end(built, seen, ids, threshold):
    """Whether the end is likely enough beside the most likely label after a text."""
    tokens, lengths = torch.tensor([ids], dtype=torch.int64), torch.tensor([len(ids)])
    scores = built.scores(seen, torch.tensor([seen.values.shape[1]]), tokens, lengths)
    *labels, end = scores[0, len(ids)].log_softmax(-1).tolist()
    return threshold == 0 or end > threshold * max(labels)


@torch.no_grad()
@pytest.mark.parametrize("threshold", [0.0, 1.0, 1.5, 4.0])
def test_a_language_model_has_its_say_and_texts_end_where_the_end_is_likely(attention, threshold):
    built = attention()
    seen, lengths = built(*pad(draw_sequences([4], FEATURES))), torch.tensor([4])
    search = AttentionSearch(beam_width=32, nbest=3, end_threshold=threshold)
    model = {"a": -2.0, "b": -0.5, "end": -1.0}
    search.fuse(Constant(**model), Letters(), 0.6)

    def score(ids):
        language = sum(model["ab"[i]] for i in ids) + model["end"]
        return log_probability(built, seen, ids) + 0.6 * language

    possible = [ids for ids in texts(3) if may_end(built, seen, ids, threshold)]
    assert (len(possible) < len(texts(3))) == (threshold > 0)
    expected = sorted(((score(ids), ids) for ids in possible), reverse=True)[:3]
    found = [text for text in search(built, seen, lengths)[0] if text.finished]
    assert [text.tokens for text in found[: len(expected)]] == [ids for _, ids in expected]
    for text, (value, _) in zip(found, expected, strict=False):
        assert text.score == pytest.approx(value, abs=1e-4)


@torch.no_grad()
def test_without_a_language_model_texts_end_anywhere(attention):
    built = attention()
    seen, lengths = built(*pad(draw_sequences([4], FEATURES))), torch.tensor([4])
    strict, free = (AttentionSearch(32, nbest=5, end_threshold=value)(built, seen, lengths)[0] for value in (1.5, 0.0))
    assert [text.tokens for text in strict] == [text.tokens for text in free]
    assert not all(may_end(built, seen, text.tokens, 1.5) for text in free)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="ctc_weight"):
        AttentionSearch(ctc_weight=1.5)
    with pytest.raises(ValueError, match=r"coverage_penalty is 0\.2, but with a ctc_weight of 1 nothing attends"):
        AttentionSearch(ctc_weight=1.0, coverage_penalty=0.2)
    with pytest.raises(ValueError, match="labels_per_frame"):
        AttentionSearch(labels_per_frame=0.0)
    with pytest.raises(ValueError, match="end_threshold must not be negative"):
        AttentionSearch(end_threshold=-1.0)
    with pytest.raises(ValueError, match="weight"):
        AttentionSearch().fuse(Constant(), Letters(), -1.0)
