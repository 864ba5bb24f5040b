"""N-best lists ranked anew by a language model that is too slow to search with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from s2s_core.decoding.arpa import ArpaScorer
from s2s_core.decoding.scoring import SequenceScorer, load_scorer


class Rescorer:
    """Natural log-probabilities of texts under a `SequenceScorer`, each text asked once.

    Args:
        scorer: of words, subwords or characters.
        most_known: texts whose scores are remembered.
    """

    def __init__(self, scorer: SequenceScorer, most_known: int = 100_000) -> None:
        self._scorer = scorer
        self._spell = _spelling_of(scorer)
        self._known: dict[str, float] = {}
        self._most_known = most_known

    @classmethod
    def load(cls, path: str, device: str = "cpu") -> Rescorer:
        """From a language model's checkpoint or an ARPA file; raises UserError if it is neither."""
        return cls(load_scorer(path, device))

    def __call__(self, texts: Sequence[str]) -> list[float]:
        """Score each text with its end."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if len(self._known) + len(new) > self._most_known:
            self._known.clear()
            new = list(dict.fromkeys(texts))
        scores = self._scorer.score([self._scorer.encode(self._spell(text)) for text in new])
        self._known.update(zip(new, scores, strict=True))
        return [self._known[text] for text in texts]


def _spelling_of(scorer: SequenceScorer) -> Callable[[str], str]:
    """Capitals for an n-gram model that has nothing else."""
    words = scorer.words if isinstance(scorer, ArpaScorer) else []
    in_capitals = bool(words) and not any(word.upper() != word for word in words if not word.startswith("<"))
    return str.upper if in_capitals else str
