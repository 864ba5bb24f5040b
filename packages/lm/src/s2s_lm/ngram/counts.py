"""All n-grams of a text and how often they occur, by sorting arrays."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from s2s_core.errors import UserError

UNKNOWN_ID, BEGIN_ID, END_ID = 0, 1, 2
SPECIAL = ("<unk>", "<s>", "</s>")


@dataclass
class Corpus:
    """A text as numbers, each sentence between its marks."""

    words: list[str]
    tokens: np.ndarray
    """``(tokens,)`` int32."""
    left: np.ndarray
    """``(tokens,)`` int32: tokens from here to the end of the sentence, this one included."""


@dataclass
class OrderCounts:
    """The distinct n-grams of one order, sorted by their first words, then by the last."""

    contexts: np.ndarray
    """``(count,)`` int32: the first n - 1 words, as a place in the order below; 0 for single words."""
    suffixes: np.ndarray
    """``(count,)`` int32: the last n - 1 words, likewise."""
    places: np.ndarray
    """``(count,)`` int32: where in the text the n-gram occurs for the first time."""
    counts: np.ndarray
    """``(count,)`` int64: how often."""


def read_corpus(lines: Iterable[str], vocabulary: Iterable[str] | None = None, source: str = "the text") -> Corpus:
    """Number the words of lines, a sentence each; empty lines are none.

    Args:
        lines: of words between spaces.
        vocabulary: words to know; all others are unknown. All words of the text if not given.
        source: what errors call the text.

    Raises:
        UserError: if there are no words, or a line holds a sentence mark.
    """
    ids: defaultdict[str, int] = defaultdict()
    ids.default_factory = ids.__len__
    for word in (*SPECIAL, *(vocabulary or ())):
        ids[word]
    if vocabulary is not None:
        ids.default_factory = lambda: UNKNOWN_ID
    known = len(ids)
    tokens = array("i")
    for line in lines:
        words = line.split()
        if not words:
            continue
        numbers = [ids[word] for word in words] if vocabulary is None else [ids.get(w, UNKNOWN_ID) for w in words]
        if BEGIN_ID in numbers or END_ID in numbers:
            raise UserError(f"{source}: a line holds <s> or </s>, which mark sentences: {line[:60]!r}")
        tokens.append(BEGIN_ID)
        tokens.extend(numbers)
        tokens.append(END_ID)
    if not tokens:
        raise UserError(f"{source}: holds no words, expected text")
    numbers = np.frombuffer(tokens, dtype=np.int32)
    ends = np.flatnonzero(numbers == END_ID)
    left = np.repeat(ends, np.diff(ends, prepend=-1)) - np.arange(len(numbers)) + 1
    return Corpus(list(ids)[: known if vocabulary is not None else None], numbers, left.astype(np.int32))


def count_orders(corpus: Corpus, order: int) -> list[OrderCounts]:
    """The n-grams of orders 1 to ``order``.

    An n-gram is sorted as a pair of numbers: the place of its first words among the n-grams of the order below, and
    its last word. So a key fits into 64 bits whatever the order, and only keys are sorted, never words.
    """
    size = len(corpus.words)
    counts = np.bincount(corpus.tokens, minlength=size)
    first = np.zeros(size, dtype=np.int32)
    positions = np.arange(len(corpus.tokens) - 1, -1, -1, dtype=np.int32)
    first[corpus.tokens[::-1]] = positions  # the last assignment, of the first occurrence, holds
    zeros = np.zeros(size, dtype=np.int32)
    found = [OrderCounts(zeros, zeros, first, counts)]
    ranks = corpus.tokens.copy()
    for length in range(2, order + 1):
        found_order, ranks = _count_longer(corpus, ranks, length)
        found.append(found_order)
    return found


def _count_longer(corpus: Corpus, shorter: np.ndarray, length: int) -> tuple[OrderCounts, np.ndarray]:
    """The n-grams of a length, and at each position the place of the one that begins there; from those of one less."""
    size = len(corpus.words)
    positions = np.flatnonzero(corpus.left >= length).astype(np.int32)
    keys = shorter[positions].astype(np.int64)
    keys *= size
    keys += corpus.tokens[positions + (length - 1)]
    order = np.argsort(keys, kind="stable")  # stable: the first of equals is the first occurrence
    keys = keys[order]
    new = np.empty(len(keys), dtype=bool)
    new[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    ranks = np.zeros(len(corpus.tokens), dtype=np.int32)
    ordered = positions[order]
    ranks[ordered] = np.cumsum(new, dtype=np.int32) - 1
    places = ordered[starts]
    counts = np.diff(starts, append=len(keys))
    contexts = (keys[starts] // size).astype(np.int32)
    return OrderCounts(contexts, shorter[places + 1], places, counts), ranks
