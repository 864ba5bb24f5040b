"""What verbs that read text share: lines of files or standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from s2s_core.errors import UserError


def read_text_lines(files: Sequence[str]) -> list[str]:
    """All lines of the files, or of standard input where there are none or one is ``-``.

    Raises:
        UserError: if a file cannot be read or is not UTF-8; names the file, and the line.
    """
    lines: list[str] = []
    for name in files or ["-"]:
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise UserError(f"{name}: {error.strerror}") from None
        for number, line in enumerate(content.split(b"\n"), start=1):
            try:
                lines.append(line.decode("utf-8").rstrip("\r"))
            except UnicodeDecodeError as error:
                raise UserError(f"{name}:{number}: not UTF-8 (byte {error.start})") from None
        if lines and not lines[-1]:  # what is behind the last line's end is no line
            lines.pop()
    return lines
