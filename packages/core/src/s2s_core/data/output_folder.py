"""What ``prepare`` writes: all of it or nothing, and never over something else unasked."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from s2s_core.errors import UserError

SUMMARY_FILE = "summary.json"
"""Says under ``files`` what else was written."""
_PREPARED = ("*.jsonl.gz", "*.arrow", SUMMARY_FILE)


@contextmanager
def all_or_nothing(output: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write into; its content moves to ``output`` at the end, and nothing is left after an error.

    Raises:
        UserError: if ``output`` has prepared data already and ``overwrite`` is false.
    """
    check_free(output, overwrite)
    made = [folder for folder in (output, *output.parents) if not folder.exists()]
    try:
        output.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=output))
    except OSError as error:
        raise UserError(f"{output}: {error.strerror}") from None
    try:
        yield scratch
        if (output / SUMMARY_FILE).is_file():
            for name in json.loads((output / SUMMARY_FILE).read_text(encoding="utf-8"))["files"]:
                _remove(output / name)
        # the summary comes last: where it is, everything is
        for path in sorted(scratch.iterdir(), key=lambda path: path.name == SUMMARY_FILE):
            if path.is_dir():
                _remove(output / path.name)
            os.replace(path, output / path.name)  # noqa: PTH105 - atomic, over an existing file
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(OSError):  # the first that holds something, and all above it, stay
            for folder in made:
                folder.rmdir()


def check_free(output: Path, overwrite: bool) -> None:
    """Raise UserError if ``output`` has prepared data already and ``overwrite`` is false, or is no folder."""
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: not a folder")
    taken = sorted(path.name for pattern in _PREPARED for path in output.glob(pattern))
    if taken and not overwrite:
        raise UserError(f"{output}: holds {taken[0]} already; --overwrite replaces what `prepare` wrote there")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
