"""What text-to-text models are judged by, as totals of the corpus."""

from __future__ import annotations

import re

import torch
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer as RougeTokenizer
from sacrebleu.metrics.bleu import BLEU, MAX_NGRAM_ORDER
from sacrebleu.metrics.chrf import CHRF
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")


class _CorpusMetric(Metric):
    """Statistics summed over the whole corpus: exact for any batch size and number of ranks."""

    full_state_update = False
    is_differentiable = False
    higher_is_better = True


class Bleu(_CorpusMetric):
    """SacreBLEU (Post 2018, https://arxiv.org/abs/1804.08771) of detokenised text, 0 to 100.

    Args:
        tokenize: how SacreBLEU cuts words: ``"13a"``, its default, ``"zh"``, ``"ja-mecab"``, ``"char"``, ``"none"``
            (text that is tokens already, as in toy tasks), ...
        lowercase: whether case is ignored.
    """

    counts: Tensor
    totals: Tensor
    lengths: Tensor

    def __init__(self, tokenize: str = "13a", lowercase: bool = False) -> None:
        super().__init__()
        # forced: it need not warn of text that looks tokenised
        self._bleu = BLEU(tokenize=tokenize, lowercase=lowercase, force=True)
        self._bleu.corpus_score([""], [[""]])  # from then on it knows its signature
        self.add_state("counts", torch.zeros(MAX_NGRAM_ORDER, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("totals", torch.zeros(MAX_NGRAM_ORDER, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("lengths", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def signature(self) -> str:
        """What a published BLEU needs beside it: references, case, tokenizer, smoothing and version."""
        return self._bleu.get_signature().format()

    def update(self, hypotheses: list[str], references: list[str]) -> None:
        """Add sentences.

        Raises:
            ValueError: if the lists differ in length.
        """
        _check_pairs(hypotheses, references)
        if hypotheses:
            score = self._bleu.corpus_score(hypotheses, [references])
            self.counts += torch.tensor(score.counts, device=self.counts.device)
            self.totals += torch.tensor(score.totals, device=self.totals.device)
            self.lengths += torch.tensor([score.sys_len, score.ref_len], device=self.lengths.device)

    def compute(self) -> Tensor:
        """Return the score, a scalar."""
        sys_len, ref_len = self.lengths.tolist()
        counts, totals = self.counts.tolist(), self.totals.tolist()
        smoothing = self._bleu.smooth_method, self._bleu.smooth_value  # else its signature would not be true
        score = BLEU.compute_bleu(counts, totals, sys_len, ref_len, *smoothing)
        return torch.tensor(score.score, device=self.counts.device)


class Chrf(_CorpusMetric):
    """chrF (Popović 2015, https://aclanthology.org/W15-3049) of detokenised text as SacreBLEU computes it, 0 to 100.

    Args:
        word_order: 0 for chrF, 2 for chrF++.
    """

    statistics: Tensor

    def __init__(self, word_order: int = 0) -> None:
        super().__init__()
        self._chrf = CHRF(word_order=word_order)
        self._chrf.corpus_score([""], [[""]])
        self.add_state("statistics", torch.zeros(3 * self._chrf.order, dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def signature(self) -> str:
        """What a published chrF needs beside it."""
        return self._chrf.get_signature().format()

    def update(self, hypotheses: list[str], references: list[str]) -> None:
        """Add sentences.

        Raises:
            ValueError: if the lists differ in length.
        """
        _check_pairs(hypotheses, references)
        if hypotheses:
            rows = self._chrf._extract_corpus_statistics(hypotheses, [references])
            self.statistics += torch.tensor(rows, device=self.statistics.device).sum(dim=0)

    def compute(self) -> Tensor:
        """Return the score, a scalar."""
        score = self._chrf._compute_score_from_stats(self.statistics.tolist())
        return torch.tensor(score.score, device=self.statistics.device)


class Rouge(_CorpusMetric):
    """ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004, https://aclanthology.org/W04-1013): mean F-measures of texts, 0 to 1.

    Args:
        english: words are runs of ASCII letters and digits, lower-cased and stemmed by Porter's rules, as published
            figures on English summaries are; otherwise words are lower-cased runs of letters and digits of any script.
    """

    totals: Tensor
    texts: Tensor

    def __init__(self, english: bool = True) -> None:
        super().__init__()
        tokenizer = None if english else _Words()
        self._scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=english, tokenizer=tokenizer)
        self.add_state("totals", torch.zeros(len(ROUGE_TYPES), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("texts", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, hypotheses: list[str], references: list[str]) -> None:
        """Add texts.

        Raises:
            ValueError: if the lists differ in length.
        """
        _check_pairs(hypotheses, references)
        for hypothesis, reference in zip(hypotheses, references, strict=True):
            scores = self._scorer.score(reference, hypothesis)
            measures = [float(scores[name].fmeasure) for name in ROUGE_TYPES]
            self.totals += torch.tensor(measures, dtype=torch.float64, device=self.totals.device)
        self.texts += len(hypotheses)

    def compute(self) -> dict[str, Tensor]:
        """Return ``rouge1``, ``rouge2`` and ``rougeL``, scalars."""
        means = self.totals / self.texts.clamp(min=1)
        return dict(zip(ROUGE_TYPES, means.float(), strict=True))


class TokenAccuracy(_CorpusMetric):
    """The share of tokens that are the likeliest given the true ones before them."""

    correct: Tensor
    tokens: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("correct", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("tokens", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, tokens: Tensor) -> None:
        """Add packed logits ``(tokens, vocab)`` and the true tokens ``(tokens,)``."""
        self.correct += (logits.argmax(dim=1) == tokens).sum()
        self.tokens += len(tokens)

    def compute(self) -> Tensor:
        """Return the share, a scalar."""
        return self.correct / self.tokens.clamp(min=1)


class Perplexity(_CorpusMetric):
    """The exponential of the mean negative log likelihood a token, without label smoothing."""

    higher_is_better = False
    total: Tensor
    tokens: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("tokens", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, tokens: Tensor) -> None:
        """Add packed logits ``(tokens, vocab)`` and the true tokens ``(tokens,)``."""
        self.total += F.cross_entropy(logits.float(), tokens, reduction="sum")
        self.tokens += len(tokens)

    def compute(self) -> Tensor:
        """Return the perplexity, a scalar; 1 where there are no tokens."""
        return (self.total / self.tokens.clamp(min=1)).exp().float()


class _Words(RougeTokenizer):
    def tokenize(self, text: str) -> list[str]:
        return re.findall(r"[^\W_]+", text.lower())


def _check_pairs(hypotheses: list[str], references: list[str]) -> None:
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
