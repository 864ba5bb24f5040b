"""An n-gram model over words as one of the models that score the next label."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from s2s_core.decoding.state import DecodingState
from s2s_core.decoding.tensor_word_fusion import FusionTables, WordState, widest
from s2s_core.decoding.word_fusion import WordFusion


@dataclass
class WordsSoFar(DecodingState):
    """Each row's words and the one that it is in; the ``width`` of `WordState` is 1."""

    words: WordState

    def expand(self, width: int) -> WordsSoFar:
        return self.select(torch.arange(len(self.words.trie), device=self.words.trie.device).repeat_interleave(width))

    def select(self, rows: Tensor) -> WordsSoFar:
        parts = (getattr(self.words, field.name) for field in fields(WordState))
        return WordsSoFar(WordState(*(part.index_select(0, rows) for part in parts)))


class WordStepper:
    """What each next label adds to what a `WordFusion` gives a text, for searches that go label by label.

    A text's sum is the weighted log-probability of its words and their bonus, and while a word is unfinished what the
    most probable word that it can become would add (look-ahead as in Hori et al. 2018,
    https://arxiv.org/abs/1808.02608, with unigrams in place of the model itself). Where a word turns
    out more probable than that, or has a bonus, a label adds more than 0: search with a margin.

    Args:
        fusion: the model, its lexicon and weights.
        device: where searches run.
    """

    def __init__(self, fusion: WordFusion, device: torch.device) -> None:
        self._tables = FusionTables.on(fusion, device, widest(device))
        self._labels = len(fusion.lexicon.begins)
        self.vocab_size = self._labels + 1
        """The labels, and the end after them."""

    def weighted(self, weight: float, bonus: float) -> WordStepper:
        """The same with other weights; the arrays are shared."""
        other = copy.copy(self)
        other._tables = replace(self._tables, fusion=replace(self._tables.fusion, weight=weight, bonus=bonus))
        return other

    def start(self, rows: int) -> WordsSoFar:
        """The state before the first label."""
        return WordsSoFar(self._tables.start(rows, 1))

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, WordsSoFar]:
        """Take one more label a row, ``(rows,)``, or none where it is the number of the end; returns what each next
        label would add, ``(rows, labels + 1)``, the end last."""
        assert isinstance(state, WordsSoFar)
        label = torch.where(tokens < self._labels, tokens, -1)[:, None]
        words = self._tables.grow(state.words, torch.zeros_like(label), label)
        so_far = words.rank(self._tables)
        grown = self._tables.grown_ranks(words)[:, 0]
        return torch.cat([grown, self._tables.finished(words)], dim=1) - so_far, WordsSoFar(words)

    def totals(self, texts: Sequence[Sequence[int]]) -> list[float]:
        """What whole texts get, their ends included."""
        device, most = self._tables.word.device, max((len(text) for text in texts), default=0)
        padded = [[*text, *[-1] * (most - len(text))] for text in texts]
        labels = torch.tensor(padded, dtype=torch.int64, device=device).view(len(texts), most)
        words = self._tables.start(len(texts), 1)
        for label in labels.unbind(1):
            words = self._tables.grow(words, torch.zeros_like(label)[:, None], label[:, None])
        return self._tables.finished(words)[:, 0].tolist()
