"""Files that the user names for results."""

from __future__ import annotations

import os
from pathlib import Path

from s2s_core.errors import UserError


def output_file(option: str, name: str) -> Path:
    """Return the file called ``name``, for results that come only after long work.

    Raises:
        UserError: if no file can be written there; names the option.
    """
    path = Path(name)
    if path.is_dir():
        raise UserError(f"{option} {path}: is a folder, expected a file")
    if not path.parent.is_dir():
        raise UserError(f"{option} {path}: no folder '{path.parent}'")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{option} {path}: not writable")
    return path
