"""Which files of a corpus are its splits, and their lines."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from s2s_core.errors import UserError

Rows = Literal["line", "paragraph", "article"]
"""What a row of the prepared file is: a line, the lines up to an empty one, or an article of WikiText."""

_SPLIT = {
    "train": re.compile(r"(^|[._-])train([._-]|$)"),
    "validation": re.compile(r"(^|[._-])(valid|validation|dev)([._-]|$)"),
    "test": re.compile(r"(^|[._-])test([._-]|$)"),
}
MANIFESTS = (".jsonl", ".jsonl.gz")
_HEADING = re.compile(r"^ ?= [^=].*[^=] = ?$")


@dataclass(frozen=True)
class BadLine:
    """A line that is left out."""

    where: str
    """``file:line``."""
    reason: str
    detail: str


def find_splits(folder: Path) -> dict[str, list[Path]]:
    """The files of each split by their names: ``wiki.train.tokens``, ``ptb.valid.txt``, ``test.txt.gz``.

    Raises:
        UserError: if there are none.
    """
    if folder.is_file():
        return {"train": [folder]}
    if not folder.is_dir():
        raise UserError(f"--input {folder}: no such file or folder")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        for split, pattern in _SPLIT.items():
            if path.is_file() and pattern.search(path.name):
                found.setdefault(split, []).append(path)
    if not found:
        raise UserError(f"--input {folder}: no file is named after train, valid or test; name them with --train FILE")
    for split, paths in found.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise UserError(f"--input {folder}: {names} all look like {split}; choose with --{split} FILE")
    return found


def read_lines(path: Path) -> Iterator[str | BadLine]:
    """Lines without their ends, or why one is left out; of a manifest (``.jsonl``, gzipped or not) the transcripts.

    Raises:
        UserError: if the file cannot be read.
    """
    if not path.name.endswith(MANIFESTS):
        yield from _decoded(path)
        return
    for number, line in enumerate(_decoded(path), start=1):
        yield from [line] if isinstance(line, BadLine) else _texts(line, f"{path.name}:{number}")


def _texts(row: str, where: str) -> list[str] | list[BadLine]:
    """The transcripts of a cut of Lhotse, or the text of another row of JSON."""
    try:
        fields = json.loads(row)
        rows = fields.get("supervisions", [fields])
        return [" ".join(one["text"].split()) for one in rows]
    except (ValueError, TypeError, KeyError, AttributeError):
        return [BadLine(where, "no text", f"expected a cut with supervisions, or an object with text: {row[:60]!r}")]


def _decoded(path: Path) -> Iterator[str | BadLine]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, content in enumerate(file, start=1):
                try:
                    yield content.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    near = content[max(0, error.start - 20) : error.start + 20]
                    yield BadLine(f"{path.name}:{number}", "invalid UTF-8", f"byte {error.start} in {near!r}")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None


def group_rows(lines: Iterator[str | BadLine], rows: Rows) -> Iterator[list[str] | BadLine]:
    """Lines of each row of the prepared file."""
    held: list[str] = []
    for line in lines:
        if isinstance(line, BadLine):
            yield line
            continue
        ends_before = rows == "article" and _HEADING.match(line) is not None
        if ends_before and any(held):
            yield held
            held = []
        held.append(line)
        if rows == "line" or (rows == "paragraph" and not line.strip()):
            if rows == "line" or len(held) > 1:
                yield held
            held = []
    if held:
        yield held
