"""The pictures that a user names: files, folders, patterns, manifests."""

from __future__ import annotations

from collections.abc import Sequence
from glob import iglob
from pathlib import Path
from typing import NamedTuple

from s2s_commands.image_table import MANIFESTS, is_picture, load_rows
from s2s_core.errors import UserError


class PictureSource(NamedTuple):
    """A picture, and what it shows where that is known."""

    path: str
    label: str | None = None


def find_pictures(names: Sequence[str]) -> list[PictureSource]:
    """The pictures of files, folders, patterns and manifests, in the order they were named.

    Only manifests say what their pictures show. A file is taken as it is, whatever it is called.

    Raises:
        UserError: if one of them is not there or holds no pictures.
    """
    found: list[PictureSource] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(str(file) for file in path.rglob("*") if file.is_file() and is_picture(file.name))
            if not inside:
                raise UserError(f"{name}: no pictures in this folder")
            found.extend(map(PictureSource, inside))
        elif path.is_file() and path.name.endswith(MANIFESTS):
            found.extend(PictureSource(row.path, row.label) for row in load_rows([path]))
        elif path.is_file():
            found.append(PictureSource(name))
        elif any(mark in name for mark in "*?["):
            matches = sorted(file for file in iglob(name, recursive=True) if is_picture(file))  # noqa: PTH207 - Path.glob takes no absolute pattern
            if not matches:
                raise UserError(f"{name}: no picture matches this pattern")
            found.extend(map(PictureSource, matches))
        else:
            raise UserError(f"{name}: no such file or folder")
    return found
