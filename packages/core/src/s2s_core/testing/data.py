"""Real corpora that lie beside a checkout, for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path


def shared_data(*parts: str) -> Path:
    """Return a file or folder of the shared data; skip the running test where it is absent.

    The data's root is the environment variable ``S2S_DATA_DIR``, or ``shared/data`` beside the repository.

    Args:
        parts: the path below the root: ``shared_data("an4", "test.csv")``.
    """
    import pytest

    root = os.environ.get("S2S_DATA_DIR")
    folder = Path(root) if root else _repository().parent / "shared" / "data"
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)} under {folder} (set S2S_DATA_DIR to where the shared data lies)")
    return path


def _repository() -> Path:
    """The workspace's root; some folder without data when this package is installed from a wheel."""
    folders = Path(__file__).resolve().parents
    return folders[min(5, len(folders) - 1)]
