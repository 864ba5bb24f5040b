"""What the runs of a sweep came to: read from their logs, kept in a table."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2s_core.tracking.history import logged

DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"
TABLE = "results.csv"
FIXED = ("run", "state", "best", "last", "seconds")


@dataclass(frozen=True)
class Result:
    """One run of a sweep.

    Args:
        run: its number, 1 for the first.
        settings: the searched keys and what this run had for them.
        state: ``done``, ``failed`` or ``interrupted``.
        best: the best value of the metric while it trained; None if it was never measured.
        last: the last value.
        seconds: how long the run took, of its latest start.
    """

    run: int
    settings: dict[str, Any]
    state: str
    best: float | None
    last: float | None
    seconds: float


def history(folder: Path, metric: str) -> list[float]:
    """The values of a metric that a run logged, in order; of all its starts."""
    return [value for key, _, value in logged(folder) if key == metric and not math.isnan(value)]


def write_table(folder: Path, results: Iterable[Result], keys: Sequence[str]) -> None:
    """Write ``results.csv``, whole or not at all."""
    path = folder / TABLE
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*FIXED, *keys])
        for r in sorted(results, key=lambda result: result.run):
            rows.writerow([r.run, r.state, r.best, r.last, f"{r.seconds:.1f}", *(r.settings[key] for key in keys)])
    temporary.replace(path)


def finished_runs(folder: Path) -> dict[int, dict[str, str]]:
    """The rows of ``results.csv`` whose runs are done, by number."""
    path = folder / TABLE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {int(row["run"]): row for row in csv.DictReader(file) if row["state"] == DONE}


def summary(results: Sequence[Result], metric: str, maximize: bool, keys: Sequence[str]) -> str:
    """The runs as a table, best first; keys without what they have in common."""
    worst = -math.inf if maximize else math.inf
    ranked = sorted(
        results, key=lambda r: (-1 if maximize else 1) * (worst if r.best is None else r.best)
    )  # infinite last in either case
    names = _shortened(keys)
    header = ["run", metric, "last", "seconds", *(names[key] for key in keys)]
    rows = [
        [str(r.run), _figure(r.best) if r.state == DONE else r.state, _figure(r.last), f"{r.seconds:.0f}"]
        + [_value(r.settings[key]) for key in keys]
        for r in ranked
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return "\n".join(lines)


def _shortened(keys: Sequence[str]) -> dict[str, str]:
    """Each key's last words, as few as tell them apart."""
    for words in range(1, 20):
        short = {key: ".".join([w for w in key.split(".") if w != "init_args"][-words:]) for key in keys}
        if len(set(short.values())) == len(keys):
            return short
    return {key: key for key in keys}


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
