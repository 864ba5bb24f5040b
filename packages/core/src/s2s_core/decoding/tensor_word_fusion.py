"""Word fusion in tensor operations, for `tensor_prefix_beam` and `word_stepper`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from s2s_core.decoding.word_fusion import WordFusion


def widest(device: torch.device) -> torch.dtype:
    """The widest type of numbers that a device has, in which long sums are kept."""
    return torch.float32 if device.type == "mps" else torch.float64


@dataclass
class WordState:
    """What prefixes carry: ``(batch, width)`` each, but for the contexts."""

    score: Tensor
    """Of the finished words."""
    trie: Tensor
    """Where the unfinished word is in the lexicon, -1: nowhere."""
    unfinished: Tensor
    contexts: Tensor
    """``(batch, width, order - 1)``: the model's index of the words before, by their number, -1 where it has none."""

    def rank(self, tables: FusionTables) -> Tensor:
        """What the words add to a prefix's rank."""
        return self.score + tables.ahead(self.trie, self.unfinished)


@dataclass
class FusionTables:
    """A `WordFusion`'s arrays on a device."""

    fusion: WordFusion
    keys: list[Tensor]
    log_probs: list[Tensor]
    backoffs: list[Tensor]
    next: Tensor
    word: Tensor
    best: Tensor
    spelling: Tensor
    """``(labels, longest)``: characters, -2 after the last."""
    begins: Tensor

    @classmethod
    def on(cls, fusion: WordFusion, device: torch.device, dtype: torch.dtype) -> FusionTables:
        """Copy the arrays to a device; those of scores as ``dtype``."""
        lexicon, tables = fusion.lexicon, fusion.scorer.tables
        rows = [lexicon.spelling[a:b].tolist() for a, b in pairwise(lexicon.spelling_starts.tolist())]
        longest = max(1, *(len(row) for row in rows))
        spelling = torch.tensor([row + [-2] * (longest - len(row)) for row in rows], device=device)
        return cls(
            fusion,
            [torch.from_numpy(table.keys).to(device) for table in tables],
            [torch.from_numpy(table.log_probs).to(device, dtype) for table in tables],
            [torch.from_numpy(table.backoffs).to(device, dtype) for table in tables],
            torch.from_numpy(lexicon.next).to(device).long(),
            torch.from_numpy(lexicon.word).to(device).long(),
            torch.from_numpy(lexicon.best).to(device, dtype),
            spelling,
            torch.from_numpy(lexicon.begins).to(device).bool(),
        )

    def start(self, batch: int, width: int) -> WordState:
        """The state of empty prefixes."""
        scorer, device = self.fusion.scorer, self.word.device
        number = torch.zeros(batch, width, dtype=torch.int64, device=device)
        nothing = torch.full((batch, width, max(0, scorer.order - 1)), -1, device=device)
        _, contexts = self._advance(nothing, number + scorer.begin_id)
        return WordState(number.to(self.best.dtype), number, number.bool(), contexts)

    def ahead(self, trie: Tensor, unfinished: Tensor) -> Tensor:
        """What ranks count for an unfinished word."""
        fusion = self.fusion
        unknown = fusion.weight * self.log_probs[0][fusion.scorer.unk_id] + fusion.unknown_penalty
        value = fusion.bonus + torch.where(trie < 0, unknown, fusion.weight * self.best[trie.clamp(min=0)])
        return torch.where(unfinished, value, 0.0)

    def closed(self, words: WordState) -> tuple[Tensor, Tensor]:
        """The score and contexts once the unfinished word is finished."""
        fusion = self.fusion
        word = self.word[words.trie.clamp(min=0)].masked_fill(words.trie < 0, -1)
        unknown = word < 0
        value, contexts = self._advance(words.contexts, word.masked_fill(unknown, fusion.scorer.unk_id))
        added = fusion.weight * value + fusion.bonus + torch.where(unknown, fusion.unknown_penalty, 0.0)
        score = words.score + torch.where(words.unfinished, added, 0.0)
        return score, torch.where(words.unfinished[..., None], contexts, words.contexts)

    def finished(self, words: WordState) -> Tensor:
        """The score of whole texts, with their end."""
        score, contexts = self.closed(words)
        end = torch.full_like(words.trie, self.fusion.scorer.end_id)
        return score + self.fusion.weight * self._advance(contexts, end)[0]

    def grown_ranks(self, words: WordState) -> Tensor:
        """What the words add to the rank of each prefix grown by each label: ``(batch, width, labels)``."""
        closed, _ = self.closed(words)
        trie, unfinished = (part[..., None].expand(-1, -1, len(self.begins)) for part in (words.trie, words.unfinished))
        trie, unfinished = self._walk(trie, unfinished, torch.arange(len(self.begins), device=trie.device))
        score = torch.where(self.begins, closed[..., None], words.score[..., None])
        return score + self.ahead(trie, unfinished)

    def grow(self, words: WordState, origin: Tensor, label: Tensor) -> WordState:
        """The states of the prefixes at ``origin``, each grown by its label, or not if that is -1."""
        closed, contexts = self.closed(words)
        stays, label = label < 0, label.clamp(min=0)
        begins = self.begins[label] & ~stays
        trie, unfinished = words.trie.gather(1, origin), words.unfinished.gather(1, origin)
        walked, some = self._walk(trie, unfinished, label)
        rows = origin[..., None].expand(-1, -1, contexts.shape[2])
        return WordState(
            score=torch.where(begins, closed.gather(1, origin), words.score.gather(1, origin)),
            trie=torch.where(stays, trie, walked),
            unfinished=torch.where(stays, unfinished, some),
            contexts=torch.where(begins[..., None], contexts.gather(1, rows), words.contexts.gather(1, rows)),
        )

    def _walk(self, trie: Tensor, unfinished: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        trie = trie.masked_fill(self.begins[label], 0)
        unfinished = unfinished & ~self.begins[label]
        for column in self.spelling.unbind(1):
            character = column[label]
            after = self.next[trie.clamp(min=0), character.clamp(min=0)]
            after = after.masked_fill((trie < 0) | (character == -1), -1)
            trie = torch.where(character == -2, trie, after)
            unfinished = unfinished | (character != -2)
        return trie, unfinished

    def _advance(self, contexts: Tensor, word: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of words in their contexts and the contexts after them, as `ArpaScorer` has them."""
        value, after = self.log_probs[0][word], [word]
        vocab_size = self.fusion.scorer.vocab_size
        for length in range(1, self.fusion.scorer.order):
            context = contexts[..., length - 1]
            known = context >= 0
            backoff = torch.where(known, self.backoffs[length - 1][context.clamp(min=0)], 0.0)
            found = torch.full_like(word, -1)
            if len(self.keys[length]):
                keys = context.clamp(min=0) * vocab_size + word
                place = torch.searchsorted(self.keys[length], keys).clamp(max=len(self.keys[length]) - 1)
                found = torch.where(known & (self.keys[length][place] == keys), place, -1)
            value = value + backoff
            if len(self.keys[length]):
                value = torch.where(found >= 0, self.log_probs[length][found.clamp(min=0)], value)
            after.append(found)
        width = contexts.shape[-1]
        return value, torch.stack(after[:width], dim=-1) if width else contexts
