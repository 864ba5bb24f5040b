"""What a search says of a recording, and how parts of a recording become one."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from s2s_asr.interfaces import TokenSpan
from s2s_asr.words import Word


@dataclass(frozen=True)
class Hypothesis:
    """A transcript that a search found."""

    text: str
    acoustic: float
    """Natural log-probability of the labels given the audio."""
    words_score: float
    """What the n-gram model, its word bonus and hotwords add."""
    rescoring: float = 0.0
    """Natural log-probability of the text under the rescoring model; 0 without one."""
    rescore_weight: float = 0.0
    spans: list[TokenSpan] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)

    @property
    def score(self) -> float:
        """What hypotheses are ranked by."""
        return self.acoustic + self.words_score + self.rescore_weight * self.rescoring


def joined(before: Sequence[Hypothesis], after: Sequence[Hypothesis], count: int) -> list[Hypothesis]:
    """The best ``count`` of all pairs of one part's hypotheses with the next part's."""
    pairs = ((a, b) for a in before for b in after)
    best = heapq.nlargest(count, pairs, key=lambda pair: pair[0].score + pair[1].score)
    return [_pair(a, b) for a, b in best]


def _pair(a: Hypothesis, b: Hypothesis) -> Hypothesis:
    return replace(
        a,
        text=" ".join(text for text in (a.text, b.text) if text),
        acoustic=a.acoustic + b.acoustic,
        words_score=a.words_score + b.words_score,
        rescoring=a.rescoring + b.rescoring,
        spans=[*a.spans, *b.spans],
    )
