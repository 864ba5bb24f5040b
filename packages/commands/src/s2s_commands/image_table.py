"""Which pictures there are and what they show: folders and manifests, read once."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from s2s_core.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""Files that are taken for pictures, in either case."""
MANIFESTS = (".jsonl", ".jsonl.gz")


class ImageRow(NamedTuple):
    """One picture."""

    name: str
    """Its path in its folder or manifest."""
    path: str
    label: str | None
    """The name of its class, where it is known."""


def load_rows(sources: Sequence[str | Path]) -> list[ImageRow]:
    """Read folders and manifests, one after the other.

    In a folder, each subfolder is a class and holds its pictures at any depth (torchvision's ``ImageFolder``); pictures
    that lie in the folder itself have no label. A manifest (``.jsonl``, ``.jsonl.gz``) has an object a line with
    ``path``, absolute or relative to the manifest's folder, and ``label``.

    Raises:
        UserError: if a source is absent, is neither, holds no pictures, or has a wrong row; names it.
    """
    rows: list[ImageRow] = []
    for source in map(Path, sources):
        before = len(rows)
        rows.extend(_folder_rows(source) if source.is_dir() else _manifest_rows(source))
        if len(rows) == before:
            raise UserError(f"{source}: no pictures in it ({', '.join(SUFFIXES)})")
    return rows


def classes_of(rows: Sequence[ImageRow]) -> list[str]:
    """The classes that occur, sorted by name."""
    return sorted({row.label for row in rows if row.label is not None})


def is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _folder_rows(folder: Path) -> Iterator[ImageRow]:
    for place, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        below = Path(place).relative_to(folder)
        label = below.parts[0] if below.parts else None
        for name in sorted(filter(is_picture, files)):
            yield ImageRow((below / name).as_posix(), str(Path(place) / name), label)


def _manifest_rows(path: Path) -> Iterator[ImageRow]:
    if not path.exists():
        here = "" if path.is_absolute() else f" in '{Path.cwd()}'"
        raise UserError(f"{path}: no such folder or manifest{here}")
    if not path.name.endswith(MANIFESTS):
        raise UserError(f"{path}: expected a folder of classes or a manifest (.jsonl.gz)")
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _manifest_row(line, path, number)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def _manifest_row(line: bytes, manifest: Path, number: int) -> ImageRow:
    try:
        data = json.loads(line)
        name, label = data["path"], data.get("label")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f'{manifest}:{number}: expected {{"path": ..., "label": ...}}') from None
    if not isinstance(name, str) or not (label is None or isinstance(label, str)):
        raise UserError(f"{manifest}:{number}: path and label must be texts, got {name!r} and {label!r}")
    return ImageRow(name, str(manifest.parent / name), label)
