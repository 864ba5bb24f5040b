"""Transcripts from the manifests that recognition trains on."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2s_core.errors import UserError

_TEXT_COLUMNS = ("transcript", "text")
_ENCODED = "utf-8-sig"


@dataclass(frozen=True)
class Line:
    """A line of a manifest; its place in it decides the voice that speaks it."""

    place: int
    """Counted from 0, over lines that hold anything."""
    where: str
    """File and line, for messages."""
    id: str
    text: str
    fault: str = ""
    """Why it cannot be spoken, if it cannot."""


def read_transcripts(path: Path) -> list[Line]:
    """Read Lhotse cuts or supervisions (``.jsonl``, ``.jsonl.gz``), or a CSV or TSV with a column of transcripts.

    A cut's text is that of its supervisions in order of time. In tables the column is ``transcript`` or ``text``; an
    utterance is called by its ``id``, by the stem of its ``wav_filename``, or by its row. Lines that hold no text or
    cannot be understood are kept with their fault.

    Raises:
        UserError: if the file is missing, of another kind, without a column of transcripts, or empty.
    """
    if not path.is_file():
        raise UserError(f"--manifest {path}: no such file")
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz")):
        found = _json_lines(path)
    elif name.endswith((".csv", ".tsv")):
        found = _table(path)
    else:
        raise UserError(
            f"--manifest {path}: expected Lhotse cuts or supervisions (.jsonl, .jsonl.gz), a .csv or a .tsv"
        )
    try:
        lines = _told_apart([Line(place, *rest) for place, rest in enumerate(found)])
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--manifest {path}: cannot be read ({error})") from None
    if not lines:
        raise UserError(f"--manifest {path}: holds no transcripts")
    return lines


def _json_lines(path: Path) -> Iterator[tuple[str, str, str, str]]:
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path.name}:{number}"
            try:
                data = json.loads(line)
            except ValueError as error:
                yield where, f"line-{number}", "", f"not JSON ({error})"
                continue
            if not isinstance(data, dict):
                yield where, f"line-{number}", "", "neither a cut nor a supervision"
                continue
            text = _text(data)
            yield where, str(data.get("id", f"line-{number}")), text, "" if text else "no text"


def _text(data: dict[str, Any]) -> str:
    if isinstance(data.get("text"), str):
        return data["text"].strip()
    parts = [track.get("cut", {}) for track in data["tracks"]] if isinstance(data.get("tracks"), list) else [data]
    spoken = [s for part in parts for s in part.get("supervisions") or []]
    return " ".join(s["text"].strip() for s in sorted(spoken, key=lambda s: s.get("start", 0.0)) if s.get("text"))


def _table(path: Path) -> Iterator[tuple[str, str, str, str]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(newline="", encoding=_ENCODED) as file:
        rows = csv.DictReader(file, delimiter=delimiter)
        columns = rows.fieldnames or []
        column = next((name for name in _TEXT_COLUMNS if name in columns), None)
        if column is None:
            raise UserError(f"--manifest {path}: no column transcript or text, only {', '.join(columns) or 'none'}")
        for row in rows:
            called = row.get("id") or Path(row.get("wav_filename") or f"row-{rows.line_num}").stem
            text = (row[column] or "").strip()
            yield f"{path.name}:{rows.line_num}", called, text, "" if text else "no text"


def _told_apart(lines: list[Line]) -> list[Line]:
    seen: dict[str, int] = {}
    apart = []
    for line in lines:
        seen[line.id] = seen.get(line.id, 0) + 1
        repeated = seen[line.id] > 1
        name = f"{line.id}-{seen[line.id]}" if repeated else line.id
        apart.append(Line(line.place, line.where, name, line.text, line.fault))
    return apart
