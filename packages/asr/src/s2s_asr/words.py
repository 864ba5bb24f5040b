"""Recognised tokens to words with times."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from s2s_asr.interfaces import TokenSpan
from s2s_core.text.tokenizers import Tokenizer


class Word(NamedTuple):
    """A recognised word."""

    text: str
    start_s: float
    end_s: float
    confidence: float
    """The lowest probability among its tokens, 0 to 1."""

    def row(self) -> dict[str, object]:
        """As an object of JSON."""
        return {**self._asdict(), "confidence": round(self.confidence, 4)}


def runs(path: Sequence[int], chances: Sequence[float]) -> list[TokenSpan]:
    """Frames that follow one another with one label, blank among them, as one span each.

    Args:
        path: the label of each frame.
        chances: its probability there; a span has the highest.
    """
    spans: list[TokenSpan] = []
    for frame, (label, chance) in enumerate(zip(path, chances, strict=True)):
        join_spans(spans, [TokenSpan(label, frame, frame + 1, chance)])
    return spans


def marks(
    tokens: Sequence[int], frames: Sequence[int], chances: Sequence[float], length: int, kept: slice
) -> list[TokenSpan]:
    """Tokens that were each found in one frame, as spans of it.

    Args:
        tokens, frames, chances: what, where, and how probable.
        length: frames of the utterance.
        kept: those whose tokens are wanted; they count from 0 there.
    """
    first, last, _ = kept.indices(length)
    found = zip(tokens, frames, chances, strict=True)
    return [TokenSpan(token, t - first, t - first + 1, chance) for token, t, chance in found if first <= t < last]


def join_spans(spans: list[TokenSpan], more: Sequence[TokenSpan]) -> None:
    """Append the spans of the frames that follow, in place; a token that crosses the border stays one token."""
    if spans and more and spans[-1].token == more[0].token and spans[-1].end == more[0].start:
        last, first = spans.pop(), more[0]
        probability = max(last.probability, first.probability)
        spans.append(TokenSpan(last.token, last.start, first.end, probability))
        more = more[1:]
    spans.extend(more)


def words_of(spans: Sequence[TokenSpan], tokenizer: Tokenizer, frame_s: float, duration_s: float) -> list[Word]:
    """Group tokens into words.

    A CTC model marks a token in few frames, often late in its sound, so the times are those of the marks: from the
    start of a word's first marked frame to the end of its last one.

    Args:
        spans: the tokens in order of time.
        tokenizer: tells where words start.
        frame_s: the time that a frame stands for.
        duration_s: no word ends later.
    """
    ids = [span.token for span in spans]
    starts = [i for i in range(len(ids)) if tokenizer.is_word_start(ids, i)]
    groups = [spans[start:end] for start, end in pairwise([*starts, len(ids)])]
    words = [_word(group, tokenizer, frame_s, duration_s) for group in groups]
    return [word for word in words if word.text]


def _word(group: Sequence[TokenSpan], tokenizer: Tokenizer, frame_s: float, duration_s: float) -> Word:
    end = len(group)
    while end > 1 and not tokenizer.decode([group[end - 1].token]).strip():  # the space after the word
        end -= 1
    text = " ".join(tokenizer.decode([span.token for span in group[:end]]).split())
    start_s, end_s = (min(frame * frame_s, duration_s) for frame in (group[0].start, group[end - 1].end))
    return Word(text, round(start_s, 3), round(end_s, 3), min(span.probability for span in group[:end]))
