"""Lines of text from files and from standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from s2s_core.errors import UserError

STANDARD_INPUT = "-"


def read_lines(files: Sequence[str]) -> Iterator[str | UserError]:
    """Yield the lines of files one after the other, without their ends, or the error that names a line.

    Only the line feed ends a line: other separators that Unicode knows stand in real text.

    Raises:
        UserError: at once, if a file cannot be read.
    """
    for name in files:
        if name == STANDARD_INPUT:
            continue
        try:
            Path(name).open("rb").close()
        except OSError as error:
            raise UserError(f"'{name}': {error.strerror}") from None
    return _lines(files)


def _lines(files: Sequence[str]) -> Iterator[str | UserError]:
    for name in files:
        shown = "standard input" if name == STANDARD_INPUT else name
        with nullcontext(sys.stdin.buffer) if name == STANDARD_INPUT else Path(name).open("rb") as file:
            yield from _decoded(file, shown)


def _decoded(file: BinaryIO, name: str) -> Iterator[str | UserError]:
    for number, line in enumerate(file, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            yield UserError(f"{name}, line {number}: not UTF-8 at byte {error.start + 1}")
        else:
            yield text.removesuffix("\n").removesuffix("\r")


def count_lines(files: Sequence[str]) -> int | None:
    """How many there will be; None if standard input or a pipe is among the files."""
    paths = [Path(name) for name in files]
    if STANDARD_INPUT in files or not all(path.is_file() for path in paths):
        return None
    return sum(_count(path) for path in paths)


def _count(path: Path) -> int:
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")
