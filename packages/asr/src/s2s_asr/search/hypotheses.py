"""What a search says of a recording, and how parts of a recording become one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from s2s_asr.interfaces import TokenSpan
from s2s_asr.words import Word, join_spans


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

    def later(self, frames: int) -> Hypothesis:
        """The same, so many frames later."""
        spans = [span._replace(start=span.start + frames, end=span.end + frames) for span in self.spans]
        return replace(self, spans=spans)


def joined(
    before: Sequence[Hypothesis],
    after: Sequence[Hypothesis],
    count: int,
    write: Callable[[list[int]], str] | None = None,
) -> list[Hypothesis]:
    """The best ``count`` different texts among all pairs of one part's hypotheses with the next part's.

    Args:
        before, after: the parts, each the best first.
        count: texts to return, if there are so many.
        write: labels as text, where a word may go on across the border; without it, parts end between words.
    """
    found: dict[str, Hypothesis] = {}
    for a, b in sorted(itertools.product(before, after), key=lambda pair: -(pair[0].score + pair[1].score)):
        pair = _pair(a, b, write)
        found.setdefault(pair.text, pair)
        if len(found) == count:
            break
    return list(found.values())


def _pair(a: Hypothesis, b: Hypothesis, write: Callable[[list[int]], str] | None) -> Hypothesis:
    spans = list(a.spans)
    if write is None:
        text = " ".join(text for text in (a.text, b.text) if text)
        spans.extend(b.spans)
    else:
        join_spans(spans, b.spans)
        text = write([span.token for span in spans])
    return replace(
        a,
        text=text,
        acoustic=a.acoustic + b.acoustic,
        words_score=a.words_score + b.words_score,
        rescoring=a.rescoring + b.rescoring,
        spans=spans,
    )
