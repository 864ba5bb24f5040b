"""Alignments as files: CTM of NIST's sclite, TextGrid of Praat, and lines of JSON."""

from __future__ import annotations

import json
from typing import Literal

from s2s_asr.align import Alignment
from s2s_asr.words import Word

Level = Literal["words", "labels"]


def ctm_lines(name: str, alignment: Alignment, level: Level = "words") -> list[str]:
    """``NAME 1 START DURATION WORD CONFIDENCE``, one a line; spaces in the name become underlines."""
    called = "_".join(name.split())
    rows = alignment.words if level == "words" else alignment.labels
    return [f"{called} 1 {w.start_s:.3f} {w.end_s - w.start_s:.3f} {w.text} {w.confidence:.4f}" for w in rows]


def text_grid(alignment: Alignment) -> str:
    """A TextGrid (long format) with a tier of words and one of labels; what lies between is empty."""
    end = alignment.duration_s
    tiers = {"words": alignment.words, "labels": alignment.labels}
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end:.3f}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, words) in enumerate(tiers.items(), start=1):
        intervals = _intervals(words, end)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f'        name = "{name}"',
            "        xmin = 0",
            f"        xmax = {end:.3f}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (start_s, end_s, text) in enumerate(intervals, start=1):
            quoted = text.replace('"', '""')
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {start_s:.3f}",
                f"            xmax = {end_s:.3f}",
                f'            text = "{quoted}"',
            ]
    return "\n".join(lines) + "\n"


def _intervals(words: list[Word], duration_s: float) -> list[tuple[float, float, str]]:
    """The words and the gaps around them, without intervals of no length."""
    intervals: list[tuple[float, float, str]] = []
    done = 0.0
    for word in words:
        if word.start_s > done:
            intervals.append((done, word.start_s, ""))
        if word.end_s > word.start_s:
            intervals.append((word.start_s, word.end_s, word.text))
        done = max(done, word.end_s)
    if duration_s > done or not intervals:
        intervals.append((done, duration_s, ""))
    return intervals


def json_line(name: str, text: str, alignment: Alignment) -> str:
    """Everything known, as one object."""
    row = {
        "path": name,
        "text": text,
        "duration_s": alignment.duration_s,
        "log_probability": round(alignment.log_probability, 4),
        "words": [word.row() for word in alignment.words],
        "labels": [label.row() for label in alignment.labels],
    }
    return json.dumps(row, ensure_ascii=False)
