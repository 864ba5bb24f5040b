"""What a user names to what is transcribed: files, folders, patterns, standard input and manifests."""

from __future__ import annotations

import csv
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from s2s_asr.audio_input import STANDARD_INPUT, Recording
from s2s_core.data.audio_files import AUDIO_SUFFIXES
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError

CSV_AUDIO, CSV_TEXT = "wav_filename", "transcript"
"""OpenSeq2Seq's columns."""


class NamedSource(NamedTuple):
    """A recording to be transcribed."""

    name: str
    audio: str | Recording
    """A path, or a stretch of a recording that a manifest describes."""
    reference: str | None = None
    """What was said, where a manifest knows."""
    where: str = ""
    """The manifest and the row in it, if it comes from one."""


def find_sources(arguments: Sequence[str], sample_rate_hz: int) -> list[NamedSource]:
    """Resolve the arguments in their order.

    Args:
        arguments: file names, folders (searched recursively), patterns, ``-``, ``.csv`` and ``.jsonl[.gz]`` manifests,
            and Lhotse Shar folders.
        sample_rate_hz: at which the recordings of manifests of cuts are to be read.

    Raises:
        UserError: if a folder or manifest holds no recordings, a pattern matches nothing, or ``-`` comes twice.
    """
    if list(arguments).count(STANDARD_INPUT) > 1:
        raise UserError("standard input can be read only once: - is named twice")
    return [source for argument in arguments for source in _resolved(argument, sample_rate_hz)]


def _resolved(argument: str, sample_rate_hz: int) -> list[NamedSource]:
    path = Path(argument)
    if path.is_dir():
        return _cuts(path, sample_rate_hz) if any(path.glob("cuts.*.jsonl*")) else _folder(path)
    if argument != STANDARD_INPUT and not path.exists() and glob.has_magic(argument):
        return _pattern(argument)
    if path.suffix.lower() == ".csv":
        return _csv(path)
    if path.name.lower().endswith((".jsonl", ".jsonl.gz")):
        return _cuts(path, sample_rate_hz)
    return [NamedSource(argument, argument)]


def _folder(folder: Path) -> list[NamedSource]:
    found = sorted(str(file) for file in folder.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file())
    if not found:
        raise UserError(f"{folder}: the folder holds no audio ({' '.join(sorted(AUDIO_SUFFIXES))})")
    return [NamedSource(name, name) for name in found]


def _pattern(pattern: str) -> list[NamedSource]:
    matches = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not matches:
        raise UserError(f"{pattern}: no file matches the pattern")
    return [NamedSource(name, name) for name in matches]


def _csv(path: Path) -> list[NamedSource]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error})") from None
    if not rows:
        raise UserError(f"{path}: the manifest holds no rows under its header")
    if any(not row.get(CSV_AUDIO) for row in rows):
        line = 2 + next(i for i, row in enumerate(rows) if not row.get(CSV_AUDIO))
        raise UserError(f"{path}:{line}: expected a file name in a column {CSV_AUDIO}")
    files = [str(path.parent / row[CSV_AUDIO]) for row in rows]
    return [
        NamedSource(file, file, row.get(CSV_TEXT) or None, f"{path}:{line}")
        for line, (file, row) in enumerate(zip(files, rows, strict=True), start=2)
    ]


def _cuts(path: Path, sample_rate_hz: int) -> list[NamedSource]:
    table = CutTable.load([path])
    return [_cut(path, table, index, sample_rate_hz) for index in range(len(table))]


def _cut(path: Path, table: CutTable, index: int, sample_rate_hz: int) -> NamedSource:
    info = table.info(index)
    recording = Recording(
        name=info.id,
        sample_rate_hz=sample_rate_hz,
        duration_s=info.duration_s,
        read=lambda: iter([table.audio(index, sample_rate_hz).numpy()]),
    )
    return NamedSource(info.id, recording, info.text or None, f"{path}:{index + 1}: cut {info.id!r}")
