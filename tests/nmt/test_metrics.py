"""Metrics against the libraries that define them, and against themselves in other batches and on other ranks."""

import copy
import math

import pytest
import sacrebleu
import torch
from rouge_score.rouge_scorer import RougeScorer

from s2s_nmt.metrics import Bleu, Chrf, Perplexity, Rouge, TokenAccuracy

HYPOTHESES = [
    "The cat sat on the mat.",
    "A man is riding a white horse, slowly!",
    "Zwei junge Männer sind im Freien.",
    "",
    "Nothing here is the same",
    "the the the the the",
]
REFERENCES = [
    "The cat sat on a mat.",
    "A man rides a white horse slowly.",
    "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.",
    "Something was said.",
    "All of it differs.",
    "the end of the day",
]


def filled(metric, step):
    for begin in range(0, len(HYPOTHESES), step):
        metric.update(HYPOTHESES[begin : begin + step], REFERENCES[begin : begin + step])
    return metric


@pytest.mark.parametrize("step", [1, 4, 6])
@pytest.mark.parametrize("options", [{}, {"tokenize": "char"}, {"lowercase": True}])
def test_bleu_is_sacrebleus(step, options):
    metric = filled(Bleu(**options), step)
    expected = sacrebleu.BLEU(**options)
    assert float(metric.compute()) == pytest.approx(expected.corpus_score(HYPOTHESES, [REFERENCES]).score, rel=1e-6)
    assert metric.signature == str(expected.get_signature())
    assert Bleu(**options).signature == metric.signature  # known before there is a score
    assert "nrefs:1" in metric.signature


@pytest.mark.parametrize("step", [1, 4, 6])
@pytest.mark.parametrize("word_order", [0, 2])
def test_chrf_is_sacrebleus(step, word_order):
    metric = filled(Chrf(word_order), step)
    expected = sacrebleu.CHRF(word_order=word_order)
    assert float(metric.compute()) == pytest.approx(expected.corpus_score(HYPOTHESES, [REFERENCES]).score, rel=1e-6)
    assert metric.signature == str(expected.get_signature())


@pytest.mark.parametrize("step", [1, 6])
def test_rouge_is_the_mean_of_rouge_scores(step):
    found = filled(Rouge(), step).compute()
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for name in ("rouge1", "rouge2", "rougeL"):
        scores = [scorer.score(r, h)[name].fmeasure for h, r in zip(HYPOTHESES, REFERENCES, strict=True)]
        assert float(found[name]) == pytest.approx(sum(scores) / len(scores), rel=1e-6)


def test_rouge_of_other_languages_counts_their_letters():
    metric = Rouge(english=False)
    metric.update(["Büsche, Straße läuft"], ["büsche straße steht da"])
    found = metric.compute()
    assert float(found["rouge1"]) == pytest.approx(2 * 2 / (3 + 4))
    assert float(found["rouge2"]) == pytest.approx(2 * 1 / (2 + 3))
    assert float(found["rougeL"]) == pytest.approx(4 / 7)


@pytest.mark.parametrize("make", [Bleu, Chrf, Rouge])
def test_ranks_add_up_to_the_corpus(make):
    whole = filled(make(), 6)
    parts = [make(), copy.deepcopy(make()), make()]  # the last sees nothing
    for rank in range(2):
        parts[rank].update(HYPOTHESES[rank::2], REFERENCES[rank::2])
    merged = make()
    for name, reduction in merged._reductions.items():
        assert reduction.__name__ == "dim_zero_sum"
        setattr(merged, name, sum(getattr(part, name) for part in parts))
    merged._update_count = 1
    assert merged.compute() == whole.compute()


@pytest.mark.parametrize("make", [Bleu, Chrf])
def test_no_sentences_score_nothing(make):
    metric = make()
    metric.update([], [])
    assert float(metric.compute()) == 0.0


@pytest.mark.parametrize("make", [Bleu, Chrf, Rouge])
def test_unequal_sides_are_refused(make):
    with pytest.raises(ValueError, match="1 hypotheses for 2"):
        make().update(["a"], ["a", "b"])


def test_accuracy_and_perplexity_are_of_all_tokens():
    generator = torch.Generator().manual_seed(0)
    logits, tokens = torch.randn(50, 7, generator=generator), torch.randint(0, 7, (50,), generator=generator)
    accuracy, perplexity = TokenAccuracy(), Perplexity()
    for begin, end in ((0, 3), (3, 40), (40, 50)):  # unequal batches: not a mean of means
        accuracy.update(logits[begin:end], tokens[begin:end])
        perplexity.update(logits[begin:end], tokens[begin:end])
    probabilities = [math.exp(x[t]) / sum(math.exp(v) for v in x) for x, t in zip(logits, tokens, strict=True)]
    expected = math.prod(probabilities) ** (-1 / 50)
    assert float(perplexity.compute()) == pytest.approx(expected, rel=1e-5)
    right = sum(x.index(max(x)) == t for x, t in zip(logits.tolist(), tokens.tolist(), strict=True))
    assert float(accuracy.compute()) == pytest.approx(right / 50)
