"""An n-gram model over words inside a search over labels (shallow fusion), for an open vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from s2s_core.decoding.arpa import BEGIN, END, UNKNOWN, ArpaScorer

UNKNOWN_PENALTY = -20.0
"""Added for a word outside the vocabulary."""


@dataclass(frozen=True)
class LabelLexicon:
    """The words of a model as a tree of characters, and how labels walk it."""

    next: np.ndarray
    """``(nodes, characters)`` int32: the node after a character, -1 where no word goes on so. Node 0 is the start."""
    word: np.ndarray
    """``(nodes,)`` int32: the word that ends at a node, -1 where none does."""
    best: np.ndarray
    """``(nodes,)`` float64: the highest unigram log-probability of a word at or below a node (smearing)."""
    spelling: np.ndarray
    """int32: the characters that the labels add to a word, one label after the other; -1 for one that no word has."""
    spelling_starts: np.ndarray
    """``(labels + 1,)`` int64: where each label's characters start in ``spelling``."""
    begins: np.ndarray
    """``(labels,)`` uint8: whether a label ends the word before it."""


@dataclass(frozen=True)
class WordFusion:
    """Adds ``weight x log p(word | words before) + bonus`` to a hypothesis for each word, and ``weight x log p(end)``.

    Words outside the vocabulary can be recognised: they get the model's unknown word and ``unknown_penalty`` more.
    An unfinished word counts, for ranks only, as the most probable word that it can become.
    """

    scorer: ArpaScorer
    lexicon: LabelLexicon
    weight: float = 0.5
    bonus: float = 1.0
    unknown_penalty: float = UNKNOWN_PENALTY

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"weight must not be negative, got {self.weight}")


def label_lexicon(
    scorer: ArpaScorer,
    labels: Sequence[tuple[str, bool]],
    spell: Callable[[str], str],
    only: Iterable[str] | None = None,
) -> LabelLexicon:
    """Arrange a model's words for a set of labels.

    Args:
        scorer: the model.
        labels: for each label the characters that it adds to a word, and whether it ends the word before it.
        spell: a word of the model as the labels write it (lower case, say); of two that are written alike the more
            probable one counts.
        only: the words of the model that count as known; all of them by default.
    """
    characters = {c: number for number, c in enumerate(sorted({c for text, _ in labels for c in text}))}
    unigrams = scorer.tables[0].log_probs
    nodes: list[dict[int, int]] = [{}]
    word, best = [-1], [-np.inf]
    known = None if only is None else {spell(word) for word in only}
    for number, path in _spelled(scorer.words, spell, characters, known):
        node, chance = 0, float(unigrams[number])
        best[0] = max(best[0], chance)
        for character in path:
            if character not in nodes[node]:
                nodes[node][character] = len(nodes)
                nodes.append({})
                word.append(-1)
                best.append(-np.inf)
            node = nodes[node][character]
            best[node] = max(best[node], chance)
        if word[node] < 0 or chance > unigrams[word[node]]:
            word[node] = number
    tree = np.full((len(nodes), max(1, len(characters))), -1, dtype=np.int32)
    for node, children in enumerate(nodes):
        for character, child in children.items():
            tree[node, character] = child
    return LabelLexicon(
        next=tree,
        word=np.array(word, dtype=np.int32),
        best=np.array(best),
        spelling=np.array([characters[c] for text, _ in labels for c in text], dtype=np.int32),
        spelling_starts=np.cumsum([0, *(len(text) for text, _ in labels)]).astype(np.int64),
        begins=np.array([begins for _, begins in labels], dtype=np.uint8),
    )


def _spelled(
    words: Iterable[str], spell: Callable[[str], str], characters: dict[str, int], known: set[str] | None
) -> Iterable[tuple[int, list[int]]]:
    for number, word in enumerate(words):
        if word in (BEGIN, END, UNKNOWN, UNKNOWN.upper()):
            continue
        text = spell(word)
        if text and (known is None or text in known) and all(c in characters for c in text):
            yield number, [characters[c] for c in text]
