"""What a reader of sounds yields: labelled clips, files that should be there, and notes on the corpus."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True)
class Clip:
    """A recording, or a stretch of one, and its label."""

    split: str
    name: str
    """Unique within the split."""
    audio: Path
    label: str
    speaker: str | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    """To the recording's end if None."""


@dataclass
class Corpus:
    """All clips of a corpus, and what its user should know."""

    clips: list[Clip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """One line each; files that a list names and that are absent make one line a list, with their number."""


def share_of(name: str) -> float:
    """A number in [0, 1) that depends on ``name`` alone: splits by it never change when files are added."""
    return int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:13], 16) / 16**13


def held_out(name: str, validation: float = 0.1, test: float = 0.1) -> str:
    """The split of a speaker or file in a corpus without splits of its own."""
    share = share_of(name)
    return VALIDATION if share < validation else TEST if share < validation + test else TRAIN
