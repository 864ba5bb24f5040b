"""What the ``prepare`` of every task that reads files of one example each checks and says alike."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from s2s_core.errors import UserError


class Told(Protocol):
    """What came of a corpus."""

    @property
    def files(self) -> Sequence[str]:
        """What was written."""
        ...

    def lines(self) -> Sequence[str]:
        """For a person."""
        ...


def check_corpus(
    corpus: str, source: Path | None, corpora: Collection[str], made_up: str = "synthetic", lhotse: bool = True
) -> None:
    """Refuse a corpus that is none of ``corpora``, or is given no folder.

    Args:
        corpus: the user's choice.
        source: its folder.
        corpora: of the task.
        made_up: the one that needs no folder.
        lhotse: whether ``lhotse:NAME`` is one for every recipe that Lhotse has.

    Raises:
        UserError: then.
    """
    if corpus not in corpora and not (lhotse and corpus.startswith("lhotse:")):
        raise UserError(f"prepare: no corpus {corpus!r}; there are {', '.join(corpora)}")
    if corpus != made_up and source is None:
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


def say(summary: Told, output: Path) -> None:
    """Print what was written."""
    print("\n".join(summary.lines()))
    print(f"wrote {', '.join(summary.files)} to {output}")
