"""What a user names to what is classified: files, folders, patterns and manifests."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from s2s_core.data.audio_files import AUDIO_SUFFIXES
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError


class SoundSource(NamedTuple):
    """A recording to be classified."""

    name: str
    cuts: CutTable | None = None
    """The manifest that it is a row of, if any."""
    row: int = 0
    label: str | None = None
    """What it is, where the manifest knows."""

    def read(self, sample_rate_hz: int) -> str | Tensor:
        """A path, or the samples of a manifest's stretch.

        Raises:
            UserError: if a manifest's recording cannot be read.
        """
        return self.name if self.cuts is None else self.cuts.audio(self.row, sample_rate_hz)


def find_sounds(arguments: Sequence[str]) -> list[SoundSource]:
    """Resolve file names, folders (searched recursively), patterns and ``.jsonl[.gz]`` manifests, in their order.

    Raises:
        UserError: if a folder or manifest holds no recordings, or a pattern matches nothing.
    """
    return [source for argument in arguments for source in _resolved(argument)]


def _resolved(argument: str) -> list[SoundSource]:
    path = Path(argument)
    if path.is_dir():
        found = sorted(str(p) for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
        if not found:
            raise UserError(f"{path}: the folder holds no audio ({' '.join(sorted(AUDIO_SUFFIXES))})")
        return [SoundSource(name) for name in found]
    if path.name.lower().endswith((".jsonl", ".jsonl.gz")):
        cuts = CutTable.load([path])
        infos = [cuts.info(index) for index in range(len(cuts))]
        return [SoundSource(info.id, cuts, index, info.text or None) for index, info in enumerate(infos)]
    if not path.exists() and glob.has_magic(argument):
        matches = sorted(name for name in glob.glob(argument, recursive=True) if Path(name).is_file())  # noqa: PTH207
        if not matches:
            raise UserError(f"{argument}: no file matches the pattern")
        return [SoundSource(name) for name in matches]
    return [SoundSource(argument)]
