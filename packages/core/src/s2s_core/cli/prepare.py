"""What the ``prepare`` of every task that reads speech checks and says alike."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_core.data.prepare.summary import Summary


def check_corpus(corpus: str, source: Path | None, corpora: Collection[str]) -> None:
    """Refuse a corpus that is none of ``corpora`` nor of Lhotse's, or is given no folder.

    Raises:
        UserError: then.
    """
    if corpus not in corpora and not corpus.startswith("lhotse:"):
        raise UserError(f"prepare: no corpus {corpus!r}; there are {', '.join(corpora)}")
    if corpus != "synthetic" and source is None:
        raise UserError(f"prepare {corpus}: --input DIR is missing")


def check_count(option: str, value: int | None) -> None:
    """Refuse a number below 1.

    Raises:
        UserError: then.
    """
    if value is not None and value < 1:
        raise UserError(f"prepare: {option} must be at least 1, got {value}")


def check_share(option: str, value: float | None) -> None:
    """Refuse what is no part of a whole.

    Raises:
        UserError: then.
    """
    if value is not None and not 0 <= value < 1:
        raise UserError(f"prepare: {option} must be at least 0 and below 1, got {value}")


def say(summary: Summary, output: Path) -> None:
    """Print what was written."""
    print("\n".join(summary.lines()))
    print(f"wrote {', '.join(summary.files)} to {output}")
