"""Checked utterances to Lhotse manifests, all of them or none."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.data.manifests import SUMMARY_FILE, recording_cut, write_cuts
from s2s_core.data.prepare.checks import Utterance
from s2s_core.data.prepare.rows import Rejected
from s2s_core.data.prepare.summary import Summary

if TYPE_CHECKING:
    from lhotse.cut import Cut

REJECTED_FILE = "rejected.tsv"


def write_split(
    folder: Path,
    split: str,
    utterances: Sequence[Utterance],
    shar_size: int | None,
    home: Path | None = None,
    relative: bool = False,
) -> str:
    """Write a split as ``SPLIT.jsonl.gz``, or as Lhotse Shar in ``SPLIT-shar``; return the name.

    Args:
        folder: where to.
        split: its name.
        utterances: what to write.
        shar_size: recordings in an archive; a plain manifest if None.
        home, relative: see `write_cuts`.
    """
    if shar_size is None:
        name = f"{split}.jsonl.gz"
        write_cuts(folder / name, map(to_cut, utterances), home, relative)
        return name
    from lhotse import CutSet
    from lhotse.audio.backend import audio_backend

    name = f"{split}-shar"
    (folder / name).mkdir()
    with audio_backend("LibsndfileBackend"):  # Lhotse's default goes through torchaudio
        cuts = CutSet.from_cuts(map(to_cut, utterances))
        cuts.to_shar(folder / name, fields={"recording": "flac"}, shard_size=shar_size, verbose=False)
    return name


def to_cut(utterance: Utterance) -> Cut:
    """The Lhotse cut of an utterance: its whole recording, all channels, with one supervision."""
    from lhotse.serialization import deserialize_item
    from lhotse.utils import fastcopy

    row, audio = utterance.row, utterance.audio
    if row.cut is not None:
        cut = deserialize_item(copy.deepcopy(row.cut))  # it takes the dict apart
        return fastcopy(cut, id=row.id, supervisions=[fastcopy(cut.supervisions[0], text=utterance.text)])
    return recording_cut(row.id, row.audio, audio, utterance.text, row.speaker)


def write_rejected(folder: Path, rejected: Sequence[Rejected]) -> None:
    """List the rows that were left out."""
    with (folder / REJECTED_FILE).open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("where\treason\tid\tdetail\n")
        for row in rejected:
            cells = (row.where, row.reason, row.id, row.detail)
            file.write("\t".join(" ".join(cell.split()) for cell in cells) + "\n")


def write_summary(folder: Path, summary: Summary) -> None:
    """Write the figures as JSON."""
    (folder / SUMMARY_FILE).write_text(
        json.dumps(asdict(summary), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
