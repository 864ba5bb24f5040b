"""A recording's frames on their way through a search, in pieces where it is long."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from s2s_asr.search.hypotheses import Hypothesis, joined
from s2s_asr.search.searcher import Searched, Searcher
from s2s_asr.search.spelling import SpellingSearcher


class Frames:
    """Collects a recording's frames: a CTC model's log-probabilities, or another's encodings."""

    def __init__(self) -> None:
        self._held: list[Tensor] = []

    def add(self, log_probs: Tensor) -> None:
        """Take the next frames, ``(time, size)`` on the host."""
        self._held.append(log_probs)

    def finish(self) -> None:
        """There are no more."""

    def all(self, size: int) -> Tensor:
        """``(time, size)``, also where there were none."""
        return torch.cat([torch.zeros(0, size), *self._held])


class _Segment(NamedTuple):
    first_frame: int
    searched: Searched


class RecordingSearch:
    """Collects a recording's frames and has them searched.

    What is longer than ``most_frames`` is searched in segments, cut in the middle of the longest pause of a segment's
    second half; language models do not see across the cuts. So memory does not grow with the recording.
    """

    def __init__(self, searcher: Searcher, most_frames: int) -> None:
        self._searcher = searcher
        self._most_frames = most_frames
        self._held: list[Tensor] = []
        self._first_frame = 0
        self._segments: list[_Segment] = []

    def add(self, log_probs: Tensor) -> None:
        """Take the next frames, ``(time, labels + 1)`` on the host."""
        self._held.append(log_probs)
        while sum(len(part) for part in self._held) > self._most_frames:
            frames = torch.cat(self._held)
            self._submit(frames[: (cut := pause_in(frames[: self._most_frames]))])
            self._held = [frames[cut:]]

    def finish(self) -> None:
        """Have searched what is left."""
        if self._held:
            self._submit(torch.cat(self._held))
            self._held = []

    def _submit(self, frames: Tensor) -> None:
        self._segments.append(_Segment(self._first_frame, self._searcher.submit(frames)))
        self._first_frame += len(frames)

    def result(self) -> list[Hypothesis]:
        """The recording's hypotheses, the best first; their spans count its frames."""
        self.finish()
        parts = [[found.later(one.first_frame) for found in one.searched.hypotheses] for one in self._segments]
        if not parts:
            return []
        return reduce(lambda before, after: joined(before, after, self._searcher.settings.nbest), parts)


class RecordingParts:
    """Collects what a decoder that searches by itself finds in the pieces of a recording; its language models do not
    see across their borders."""

    def __init__(self, searcher: SpellingSearcher) -> None:
        self._searcher = searcher
        self._found: list[Hypothesis] = []

    def add(self, hypotheses: list[Hypothesis], first_frame: int) -> None:
        """Take what was found in the next piece, whose spans count from ``first_frame``."""
        part = [one.later(first_frame) for one in hypotheses] or [Hypothesis("", 0.0, 0.0)]
        nbest = self._searcher.settings.nbest
        self._found = joined(self._found, part, nbest, self._searcher.text) if self._found else part

    def result(self) -> list[Hypothesis]:
        """The recording's hypotheses, the best first; their spans count its frames."""
        return self._found


def pause_in(log_probs: Tensor) -> int:
    """The frame in the middle of the longest run of blanks in the second half of ``(time, labels + 1)``."""
    half = len(log_probs) // 2
    blank = log_probs.shape[1] - 1
    best, start = (0, len(log_probs)), None
    for frame, label in enumerate([*log_probs[half:].argmax(-1).tolist(), -1]):
        if label == blank and start is None:
            start = frame
        elif label != blank and start is not None:
            best = max(best, (frame - start, half + (start + frame + 1) // 2))
            start = None
    return best[1]
