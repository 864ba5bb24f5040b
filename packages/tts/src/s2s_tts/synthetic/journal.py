"""Which lines are done: one JSON object a line, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from s2s_core.errors import UserError

_NAME = "journal.jsonl"


class Journal:
    """Notes results as they come; reads those of an earlier run of the same settings.

    Args:
        folder: where it lies; made if it is missing.
        settings: what decides the results, as plain data.

    Raises:
        UserError: if the folder's journal was written with other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--output {folder}: {error.strerror}") from None
        self.path = folder / _NAME
        self.results: dict[int, dict[str, Any]] = {}
        """By the line's place."""
        plain = json.loads(json.dumps(settings))
        if self.path.is_file():
            self._read(plain)
        else:
            self._write(json.dumps(plain) + "\n", "x")

    def _read(self, settings: dict[str, Any]) -> None:
        content = self.path.read_bytes()
        # a kill may have left the last line half written
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode().splitlines()
        before = json.loads(lines[0]) if lines else None
        if before is None:
            self.path.unlink()
            self._write(json.dumps(settings) + "\n", "x")
            return
        changed = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
        if changed:
            raise UserError(
                f"{self.path.parent}: was begun with {changed[0]} {before.get(changed[0])!r}, not "
                f"{settings.get(changed[0])!r}; go on with the same, or choose another --output"
            )
        for line in lines[1:]:
            result = json.loads(line)
            self.results[result["place"]] = result
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))

    def note(self, result: dict[str, Any]) -> None:
        """Keep a result, on disk before it returns."""
        self.results[result["place"]] = result
        self._write(json.dumps(result, ensure_ascii=False) + "\n", "a")

    def _write(self, text: str, mode: str) -> None:
        with self.path.open(mode, encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
