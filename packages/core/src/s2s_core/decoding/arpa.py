"""N-gram language models from ARPA files, as arrays that score whole batches at once."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from s2s_core.decoding.arpa_text import DATA, UNIGRAMS, after_mark, open_text
from s2s_core.decoding.state import DecodingState
from s2s_core.errors import UserError

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NATURAL = math.log(10)
NO_UNKNOWN = -100.0
"""Log10 probability of an unknown word in a model that has none, as in KenLM."""
_COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)\s*$")


@dataclass
class NgramTable:
    """The n-grams of one order, sorted by ``keys``."""

    keys: np.ndarray
    """``(count,)`` int64: index of the first words among the order below x vocabulary size + last word."""
    log_probs: np.ndarray
    """``(count,)``, natural."""
    backoffs: np.ndarray
    """``(count,)``, natural; 0 where there is none."""

    def find(self, contexts: np.ndarray, words: np.ndarray, vocab_size: int) -> np.ndarray:
        """The index of each context's continuation by a word, -1 where there is none or no context (-1)."""
        if not len(self.keys):
            return np.full(len(contexts), -1)
        keys = contexts * vocab_size + words
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((contexts >= 0) & (self.keys[places] == keys), places, -1)


class ArpaState(DecodingState):
    """For each row the longest known contexts: ``(rows, order - 1)``, by length, -1 where unknown."""

    def __init__(self, contexts: np.ndarray) -> None:
        self.contexts = contexts

    def expand(self, width: int) -> ArpaState:
        return ArpaState(np.repeat(self.contexts, width, axis=0))

    def select(self, rows: Tensor) -> ArpaState:
        return ArpaState(self.contexts[rows.cpu().numpy()])


class ArpaScorer:
    """A back-off n-gram model (Katz 1987) as a `s2s_core.decoding.scoring.SequenceScorer` over words.

    Args:
        words: the vocabulary; `BEGIN`, `END` and an unknown word are among them.
        tables: the n-grams of each order from 1 on; those of order 1 are by word number.
    """

    def __init__(self, words: list[str], tables: list[NgramTable]) -> None:
        self.words, self.tables = words, tables
        self.vocab_size, self.order = len(words), len(tables)
        self._ids = {word: number for number, word in enumerate(words)}
        self.begin_id, self.end_id = self._ids[BEGIN], self._ids[END]
        self.unk_id = self._ids.get(UNKNOWN, self._ids.get("<UNK>", -1))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ArpaScorer:
        """Read an ARPA file, gzipped or not. Whatever stands before its data mark is passed over.

        Raises:
            UserError: if the file cannot be read, or is not what its header says; names the line.
        """
        file = Path(path)
        with open_text(file) as lines:
            return _Reader(lines, file).read()

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(word, self.unk_id) for word in text.split()]

    def score(self, sequences: Sequence[Sequence[int]], ends: bool = True) -> list[float]:
        order = sorted(range(len(sequences)), key=lambda i: -len(sequences[i]))
        rows = [[*sequences[i], self.end_id] if ends else list(sequences[i]) for i in order]
        totals = np.zeros(len(rows))
        contexts = self.start(len(rows)).contexts
        _, contexts = self._advance(contexts, np.full(len(rows), self.begin_id))
        active = len(rows)
        for step in range(len(rows[0]) if rows else 0):
            while len(rows[active - 1]) <= step:
                active -= 1
            words = np.array([row[step] for row in rows[:active]])
            log_probs, contexts = self._advance(contexts[:active], words)
            totals[:active] += log_probs
        scores = [0.0] * len(rows)
        for place, total in zip(order, totals.tolist(), strict=True):
            scores[place] = total
        return scores

    def _advance(self, contexts: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of ``words`` (rows,) in their contexts, and the contexts after them."""
        found = words
        log_probs = self.tables[0].log_probs[words]
        after = np.full_like(contexts, -1)
        backoff = np.zeros(len(words))
        if self.order > 1:
            after[:, 0] = words
        for length in range(1, self.order):
            context = contexts[:, length - 1]
            backoff = np.where(context >= 0, self.tables[length - 1].backoffs[context], 0.0)
            found = self.tables[length].find(context, words, self.vocab_size)
            log_probs = np.where(
                found >= 0,
                self.tables[length].log_probs[found] if len(self.tables[length].keys) else 0.0,
                log_probs + backoff,
            )
            if length < self.order - 1:
                after[:, length] = found
        return log_probs, after

    def start(self, rows: int) -> ArpaState:
        return ArpaState(np.full((rows, max(0, self.order - 1)), -1, dtype=np.int64))

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, ArpaState]:
        assert isinstance(state, ArpaState)
        _, contexts = self._advance(state.contexts, tokens.cpu().numpy())
        log_probs = np.tile(self.tables[0].log_probs, (len(contexts), 1))
        for length in range(1, self.order):
            table = self.tables[length]
            for row, context in enumerate(contexts[:, length - 1].tolist()):
                if context < 0:
                    continue
                log_probs[row] += self.tables[length - 1].backoffs[context]
                first, last = np.searchsorted(table.keys, [context * self.vocab_size, (context + 1) * self.vocab_size])
                log_probs[row, table.keys[first:last] - context * self.vocab_size] = table.log_probs[first:last]
        return torch.from_numpy(log_probs).to(tokens.device), ArpaState(contexts)


class _Reader:
    def __init__(self, file: IO[str], name: Path) -> None:
        self._lines: Iterator[tuple[int, str]] = enumerate((line.strip() for line in file), start=1)
        self._name = name

    def read(self) -> ArpaScorer:
        counts = self._header()
        words: list[str] = []
        ids: dict[str, int] = {}
        tables: list[NgramTable] = []
        for order, count in enumerate(counts, start=1):
            grams, log_probs, backoffs = self._section(order, count, ids, words)
            tables.append(self._table(grams, log_probs, backoffs, tables, len(words)))
        return ArpaScorer(words, tables)

    def _fail(self, number: int, what: str) -> UserError:
        return UserError(f"{self._name}:{number}: {what}")

    def _header(self) -> list[int]:
        after_mark((line for _, line in self._lines), DATA, self._name)
        counts: list[int] = []
        number = 0
        for number, line in self._lines:
            found = _COUNT.match(line)
            if found and int(found[1]) == len(counts) + 1:
                counts.append(int(found[2]))
            elif line == UNIGRAMS and counts:
                return counts
            elif line:
                raise self._fail(number, f"expected 'ngram {len(counts) + 1}=COUNT', got {line!r}")
        raise self._fail(number, "the file ends in its header")

    def _section(
        self, order: int, count: int, ids: dict[str, int], words: list[str]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if order > 1:
            number, line = next(((n, text) for n, text in self._lines if text), (0, ""))
            if line != f"\\{order}-grams:":
                raise self._fail(number, f"expected \\{order}-grams:, got {line!r}")
        grams = np.zeros((count, order), dtype=np.int64)
        log_probs, backoffs = np.zeros(count), np.zeros(count)
        place = 0
        while place < count:
            number, line = next(self._lines, (0, "\\end\\"))
            if not line:
                continue
            fields = line.split()
            if len(fields) not in (order + 1, order + 2):
                raise self._fail(number, f"expected entry {place + 1} of {count} of order {order}, got {line!r}")
            if order == 1:
                ids[fields[1]] = place
                words.append(fields[1])
            try:
                log_probs[place] = float(fields[0])
                grams[place] = [ids[word] for word in fields[1 : order + 1]]
                backoffs[place] = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
            except (KeyError, ValueError) as error:
                raise self._fail(number, f"{error} is no number, or no word of the model") from None
            place += 1
        if order == 1:
            log_probs, backoffs = self._add_missing(words, ids, log_probs, backoffs)
            grams = np.arange(len(words))[:, None]
        return grams, log_probs * NATURAL, backoffs * NATURAL

    def _add_missing(
        self, words: list[str], ids: dict[str, int], log_probs: np.ndarray, backoffs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        for word in (BEGIN, END):
            if word not in ids:
                raise UserError(f"{self._name}: has no {word}")
        if UNKNOWN in ids or "<UNK>" in ids:
            return log_probs, backoffs
        ids[UNKNOWN] = len(words)
        words.append(UNKNOWN)
        return np.append(log_probs, NO_UNKNOWN), np.append(backoffs, 0.0)

    def _table(
        self,
        grams: np.ndarray,
        log_probs: np.ndarray,
        backoffs: np.ndarray,
        lower: list[NgramTable],
        vocab_size: int,
    ) -> NgramTable:
        contexts = grams[:, 0]
        for length in range(1, grams.shape[1] - 1):
            contexts = lower[length].find(contexts, grams[:, length], vocab_size)
        if grams.shape[1] == 1:
            return NgramTable(contexts, log_probs, backoffs)
        if len(contexts) and contexts.min() < 0:
            raise UserError(
                f"{self._name}: an n-gram of order {grams.shape[1]} lacks the shorter one that it begins with"
            )
        keys = contexts * vocab_size + grams[:, -1]
        order = np.argsort(keys)
        return NgramTable(keys[order], log_probs[order], backoffs[order])
