"""What a corpus reader yields: an utterance to be checked, or a row that is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """An utterance as its corpus describes it."""

    split: str
    id: str
    audio: Path
    text: str
    """The transcript as the corpus writes it."""
    where: str
    """``file:row`` for reports."""
    speaker: str | None = None
    cut: dict[str, Any] | None = None
    """The Lhotse cut, as plain data, where a Lhotse recipe made one; it says which part of ``audio`` is meant."""


@dataclass(frozen=True)
class Rejected:
    """A row that is left out."""

    where: str
    """``file:row``."""
    reason: str
    """One of few, to be counted: ``empty transcript``, ``unreadable audio`` ..."""
    detail: str
    """What exactly."""
    id: str = ""
