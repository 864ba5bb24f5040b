"""Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998), as KenLM's ``lmplz`` computes it.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling", TR-10-98, Harvard; Heafield et
al. 2013, "Scalable modified Kneser-Ney language model estimation", section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s2s_core.errors import UserError
from s2s_lm.ngram.counts import BEGIN_ID, Corpus, OrderCounts, count_orders

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
"""Where an order has too few n-grams for its own to be estimated, as ``lmplz --discount_fallback``."""
LOG_OF_NOTHING = -99.0


@dataclass
class OrderModel:
    """The n-grams of one order with their probabilities."""

    places: np.ndarray
    """Where in the text each occurs."""
    log_probs: np.ndarray
    """Log10."""
    backoffs: np.ndarray | None
    """Log10; None at the highest order."""


@dataclass
class NgramModel:
    """An estimated model."""

    corpus: Corpus
    orders: list[OrderModel]
    discounts: list[tuple[float, float, float]]
    """Of n-grams seen once, twice and more often."""
    fallbacks: list[int]
    """The orders whose discounts could not be estimated."""


def estimate(corpus: Corpus, order: int, prune: Sequence[int] = ()) -> NgramModel:
    """Estimate a model of n-grams up to ``order``.

    Args:
        corpus: the text.
        order: 1 to 6.
        prune: for each order the count up to which n-grams are left out; the last holds for all higher orders. Single
            words are never left out, and thresholds must not fall.

    Raises:
        UserError: if order or thresholds are out of range.
    """
    thresholds = _thresholds(order, prune)
    counted = count_orders(corpus, order)
    adjusted = [_adjusted(corpus, counted, n) for n in range(1, order + 1)]
    estimated = [estimate_discounts(counts, n) for n, counts in enumerate(adjusted, start=1)]
    model = NgramModel(corpus, [], [d for d, _ in estimated], [n for n, (_, own) in enumerate(estimated, 1) if not own])
    below = np.array([1.0 / (len(corpus.words) - 1)])  # <s> is never predicted
    size = 1
    kept_below = np.ones(1, dtype=bool)
    for n in range(1, order + 1):
        counts, discounts = counted[n - 1], np.array([0.0, *model.discounts[n - 1]])
        kept = counts.counts > thresholds[n - 1]
        kept[: len(kept) if n == 1 else 0] = True
        counts_n = adjusted[n - 1]
        taken = discounts[np.minimum(counts_n, 3)]
        sums = np.bincount(counts.contexts, counts_n, size)
        given = np.where(kept, counts_n - taken, 0.0)
        # the mass that discounts and left-out n-grams leave to shorter contexts
        backoff = _share(sums - np.bincount(counts.contexts, given, size), sums)
        probs = given / np.maximum(sums, 1e-300)[counts.contexts] + backoff[counts.contexts] * below[counts.suffixes]
        if n > 1:
            model.orders[-1].backoffs = np.log10(backoff[kept_below])
        log_probs = np.log10(probs, where=kept, out=np.full(len(probs), LOG_OF_NOTHING))
        if n == 1:
            log_probs[BEGIN_ID] = LOG_OF_NOTHING
        model.orders.append(OrderModel(counts.places[kept], log_probs[kept], None))
        below, size, kept_below = probs, len(probs), kept
    return model


def _thresholds(order: int, prune: Sequence[int]) -> list[int]:
    if not 1 <= order <= 6:
        raise UserError(f"--order {order}: expected 1 to 6")
    if len(prune) > order or any(value < 0 for value in prune) or list(prune) != sorted(prune):
        raise UserError(
            f"--prune {' '.join(map(str, prune))}: expected up to {order} counts, none below the one before"
        )
    if prune and prune[0]:
        raise UserError("--prune: single words are never left out, so the first count must be 0")
    return [*prune, *[prune[-1] if prune else 0] * (order - len(prune))]


def _adjusted(corpus: Corpus, counted: list[OrderCounts], n: int) -> np.ndarray:
    """Below the highest order, in how many different contexts an n-gram occurs: by the word before it.

    Nothing stands before the beginning of a sentence, so n-grams that begin with it keep their counts.
    """
    counts = counted[n - 1]
    if n == len(counted):
        adjusted = counts.counts.copy()
    else:
        adjusted = np.bincount(counted[n].suffixes, minlength=len(counts.counts))
        if n > 1:
            begins = corpus.tokens[counts.places] == BEGIN_ID
            adjusted[begins] = counts.counts[begins]
    if n == 1:
        adjusted[BEGIN_ID] = 0
    return adjusted


def estimate_discounts(adjusted: np.ndarray, n: int) -> tuple[tuple[float, float, float], bool]:
    """Discounts of n-grams counted once, twice and more often, and whether they are estimates (equation 17).

    ``D_k = k - (k + 1) * Y * t_k+1 / t_k`` with ``Y = t_1 / (t_1 + 2 t_2)``, where ``t_k`` n-grams are counted k times.
    """
    times = np.bincount(np.minimum(adjusted, 5), minlength=6)
    if not times[1:5].all():
        return FALLBACK_DISCOUNTS, False
    ratio = times[1] / (times[1] + 2 * times[2])
    values = [float(k - (k + 1) * ratio * times[k + 1] / times[k]) for k in (1, 2, 3)]
    if any(not 0 <= value <= k for k, value in enumerate(values, start=1)):
        return FALLBACK_DISCOUNTS, False
    return (values[0], values[1], values[2]), True


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``; 1 where a context has no continuations, so that its back-off changes nothing."""
    return np.where(whole > 0, np.maximum(part, 1e-99) / np.maximum(whole, 1e-300), 1.0)
