"""What a run logged to its CSV files, of all its starts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from s2s_core.errors import UserError


def tables(folder: Path) -> list[Path]:
    """The files, one a start of the run, oldest first."""
    return sorted(folder.glob("csv/version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:]))


def logged(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Key, step and value of every figure, in the order of logging.

    Raises:
        UserError: naming the file and row whose cells are no numbers.
    """
    for table in tables(folder):
        with table.open(encoding="utf-8", newline="", errors="replace") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                try:
                    figures = {key: float(value) for key, value in row.items() if key and value}
                except (TypeError, ValueError) as error:
                    raise UserError(f"{table}:{number}: expected numbers: {error}") from error
                step = figures.pop("step", 0.0)
                figures.pop("epoch", None)
                yield from ((key, step, value) for key, value in figures.items())
