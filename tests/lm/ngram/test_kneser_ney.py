"""Against the formulas written out with dictionaries, values worked by hand, and KenLM."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from s2s_core.decoding.arpa import ArpaScorer
from s2s_core.errors import UserError
from s2s_core.testing import shared_data
from s2s_lm.ngram.arpa_file import write_arpa
from s2s_lm.ngram.counts import read_corpus
from s2s_lm.ngram.kneser_ney import FALLBACK_DISCOUNTS, estimate, estimate_discounts


class Written:
    """Interpolated modified Kneser-Ney, term by term, recursive, over dictionaries."""

    def __init__(self, lines, order, prune=()):
        self.order = order
        raw = [Counter() for _ in range(order + 1)]
        for line in lines:
            words = ["<s>", *line.split(), "</s>"] if line.split() else []
            for n in range(1, order + 1):
                raw[n].update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        self.raw = raw
        self.words = {w for (w,) in raw[1]} | {"<unk>"}
        self.prune = [0, *prune, *[prune[-1] if prune else 0] * (order - len(prune))]
        self.counts = [None] + [self.adjusted(n) for n in range(1, order + 1)]
        self.discounts = [None] + [self.discount(n) for n in range(1, order + 1)]
        self.following = [None] + [defaultdict(dict) for _ in range(order)]
        for n in range(1, order + 1):
            for gram, count in self.counts[n].items():
                self.following[n][gram[:-1]][gram] = count

    def adjusted(self, n):
        if n == self.order:
            counts = dict(self.raw[n])
        else:
            before = defaultdict(set)
            for gram in self.raw[n + 1]:
                before[gram[1:]].add(gram[0])
            counts = {g: c if g[0] == "<s>" else len(before[g]) for g, c in self.raw[n].items()}
        counts.pop(("<s>",), None)
        return counts

    def discount(self, n):
        t = Counter(self.counts[n].values())
        if not all(t[k] for k in (1, 2, 3, 4)):
            return FALLBACK_DISCOUNTS
        y = t[1] / (t[1] + 2 * t[2])
        d = [k - (k + 1) * y * t[k + 1] / t[k] for k in (1, 2, 3)]
        return d if all(0 <= x <= k for k, x in zip((1, 2, 3), d, strict=True)) else FALLBACK_DISCOUNTS

    def kept(self, gram):
        return len(gram) == 1 or self.raw[len(gram)][gram] > self.prune[len(gram)]

    def prob(self, word, context):
        n = len(context) + 1
        shorter = 1 / (len(self.words) - 1) if n == 1 else self.prob(word, context[1:])
        following = self.following[n][context]
        if not following:
            return shorter
        total = sum(following.values())
        own = {g: c - self.discounts[n][min(c, 3) - 1] for g, c in following.items() if self.kept(g)}
        rest = (total - sum(own.values())) / total
        return own.get((*context, word), 0) / total + rest * shorter


def zipf_lines(count, seed=0, vocabulary=40):
    rng = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(vocabulary)]
    chance = 1 / np.arange(1, vocabulary + 1)
    return [" ".join(rng.choice(words, rng.integers(0, 9), p=chance / chance.sum())) for _ in range(count)]


@pytest.fixture
def arpa(tmp_path):
    def make(lines, order, prune=()):
        write_arpa(estimate(read_corpus(lines), order, prune), tmp_path / "model.arpa")
        return ArpaScorer.load(tmp_path / "model.arpa")

    return make


def test_values_worked_by_hand(arpa):
    # bigrams of "a b", "a c", "a b b": <s> a 3, a b 2, a c 1, b </s> 2, b b 1, c </s> 1; no bigram occurs 4 times,
    # so discounts are .5, 1, 1.5. Words by how many different ones precede them: a 1, b 2 (a, b), c 1, </s> 2 (b, c);
    # 6 in all, of which .5 + 1 + .5 + 1 = 3 goes to 5 words alike: 1/10 each.
    model = arpa(["a b", "a c", "", "a b b"], 2)
    p = {w: n / 60 for w, n in {"a": 11, "b": 16, "c": 11, "</s>": 16, "<unk>": 6}.items()}
    ids = {word: number for number, word in enumerate(model.words)}
    for word, value in p.items():
        assert math.exp(model.tables[0].log_probs[ids[word]]) == pytest.approx(value, abs=1e-6)
    # after a: total 3; b has 2 - 1, c has 1 - .5, the rest 1.5 / 3 goes to single words
    after_a = {"b": 1 / 3 + 0.5 * p["b"], "c": 0.5 / 3 + 0.5 * p["c"], "a": 0.5 * p["a"], "</s>": 0.5 * p["</s>"]}
    _, state = model.step(np_tensor([ids["<s>"]]), model.start(1))
    scores, state = model.step(np_tensor([ids["a"]]), state)
    for word, value in after_a.items():
        assert math.exp(scores[0, ids[word]]) == pytest.approx(value, abs=1e-6)
    # after <s>: total 3, a has 3 - 1.5
    start = 0.5 + 0.5 * p["a"]
    b_end = 1 / 3 + 0.5 * p["</s>"]
    expected = math.log(start) + math.log(after_a["b"]) + math.log(b_end)
    assert model.score([model.encode("a b")])[0] == pytest.approx(expected, abs=1e-5)


def np_tensor(values):
    import torch

    return torch.tensor(values)


@pytest.mark.parametrize(("order", "prune"), [(1, ()), (2, ()), (3, ()), (4, (0, 0, 1)), (5, (0, 1, 1, 2)), (6, ())])
def test_equals_the_formulas_written_out(arpa, order, prune):
    lines = zipf_lines(400)
    model, written = arpa(lines, order, prune), Written(lines, order, prune)
    assert order == 1 or any(d != FALLBACK_DISCOUNTS for d in written.discounts[1:])
    for line in [*zipf_lines(25, seed=9), "w1 zzz w2 w1", "zzz", ""]:
        words = [w if w in written.words else "<unk>" for w in line.split()]
        total, history = 0.0, ["<s>"]
        for word in [*words, "</s>"]:
            context = tuple(history[max(0, len(history) - order + 1) :]) if order > 1 else ()
            total += math.log(written.prob(word, context))
            history.append(word)
        assert model.score([model.encode(line)])[0] == pytest.approx(total, abs=2e-5)


@pytest.mark.parametrize("prune", [(), (0, 0, 2)])
def test_probabilities_sum_to_one_in_every_context(arpa, prune):
    model = arpa(zipf_lines(300), 3, prune)
    state = model.start(1)
    predicted = np.arange(model.vocab_size) != model.begin_id
    for word in ("<s>", "w0", "w3", "w0", "<unk>", "w39"):
        scores, state = model.step(np_tensor(model.encode(word)), state)
        assert float(scores[0, predicted].exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_steps_give_what_whole_sequences_give(arpa):
    model = arpa(zipf_lines(300), 4)
    lines = [line for line in zipf_lines(12, seed=5) if line]
    rows = [model.encode(line) for line in lines]
    for ids, score in zip(rows, model.score(rows), strict=True):
        state, total, token = model.start(1), 0.0, model.begin_id
        for following in [*ids, model.end_id]:
            scores, state = model.step(np_tensor([token]), state)
            total += float(scores[0, following])
            token = following
        assert total == pytest.approx(score, abs=1e-9)


def test_kenlm_reads_it_with_the_same_scores(tmp_path):
    kenlm = pytest.importorskip("kenlm", reason="the package kenlm is not installed")
    lines = zipf_lines(500)
    write_arpa(estimate(read_corpus(lines), 4, (0, 0, 1)), tmp_path / "model.arpa")
    theirs, ours = kenlm.Model(str(tmp_path / "model.arpa")), ArpaScorer.load(tmp_path / "model.arpa")
    assert theirs.order == 4
    for line in [*zipf_lines(30, seed=3), "w1 zzz w2"]:
        score = ours.score([ours.encode(line)])[0] / math.log(10)
        assert theirs.score(line, bos=True, eos=True) == pytest.approx(score, abs=1e-4)


def test_a_given_vocabulary_makes_the_rest_unknown(tmp_path):
    write_arpa(estimate(read_corpus(zipf_lines(300), ["w0", "w1", "never"]), 2), tmp_path / "model.arpa")
    model = ArpaScorer.load(tmp_path / "model.arpa")
    assert model.words == ["<unk>", "<s>", "</s>", "w0", "w1", "never"]
    assert model.score([model.encode("w7")]) == model.score([model.encode("other")])
    assert model.score([model.encode("w7")])[0] > model.score([model.encode("never")])[0]


def test_discounts():
    assert estimate_discounts(np.array([1] * 10 + [2] * 5 + [3] * 3 + [4] * 2 + [9]), 2)[0] == pytest.approx(
        (1 - 2 * 0.5 * 5 / 10, 2 - 3 * 0.5 * 3 / 5, 3 - 4 * 0.5 * 2 / 3)
    )
    assert estimate_discounts(np.array([1, 1, 2]), 2) == (FALLBACK_DISCOUNTS, False)


@pytest.mark.parametrize(("order", "prune"), [(0, ()), (7, ()), (3, (1,)), (3, (0, 2, 1)), (2, (0, 0, 0))])
def test_refuses_what_it_cannot_do(order, prune):
    with pytest.raises(UserError):
        estimate(read_corpus(["a b"]), order, prune)


def test_a_line_with_a_sentence_mark_is_refused():
    with pytest.raises(UserError, match="mark sentences"):
        read_corpus(["a </s> b"])


def test_real_arpa_files_are_read():
    noisy = ArpaScorer.load(shared_data("lm", "arpa", "an4_full.trigram.lm"))
    assert (noisy.order, [len(t.keys) for t in noisy.tables][1:]) == (3, [1528, 3796])
    other = ArpaScorer.load(shared_data("lm", "arpa", "mfa_test_lm.arpa"))
    assert [len(t.log_probs) for t in other.tables] == [1799, 13154, 20310]
    kenlm = pytest.importorskip("kenlm", reason="the package kenlm is not installed")
    theirs = kenlm.Model(str(shared_data("lm", "arpa", "mfa_test_lm.arpa")))
    for line in ("missus rachel lynde is surprised", "the main road down into a little hollow zzz"):
        assert theirs.score(line) == pytest.approx(other.score([other.encode(line)])[0] / math.log(10), abs=1e-4)


def test_words_of_any_characters_are_written(tmp_path):
    kenlm = pytest.importorskip("kenlm", reason="the package kenlm is not installed")
    lines = ['he said " well , \\ then " .', 'a "quoted" word ;', "naïve — ’ 日本 𝄞", "back\\slash 'single'"] * 3
    write_arpa(estimate(read_corpus(lines), 3), tmp_path / "model.arpa")
    theirs, ours = kenlm.Model(str(tmp_path / "model.arpa")), ArpaScorer.load(tmp_path / "model.arpa")
    assert '"' in ours.words
    for line in lines[:4]:
        score = ours.score([ours.encode(line)])[0] / math.log(10)
        assert theirs.score(line, bos=True, eos=True) == pytest.approx(score, abs=1e-4)
