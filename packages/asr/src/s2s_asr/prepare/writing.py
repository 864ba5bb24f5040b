"""Checked utterances to Lhotse manifests, all of them or none."""

from __future__ import annotations

import copy
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_asr.prepare.checks import Utterance
from s2s_asr.prepare.rows import Rejected
from s2s_asr.prepare.summary import Summary
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from lhotse.cut import Cut

SUMMARY_FILE = "summary.json"
REJECTED_FILE = "rejected.tsv"


@contextmanager
def all_or_nothing(output: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write into; its content moves to ``output`` at the end, and nothing does after an error.

    Raises:
        UserError: if ``output`` has manifests already and ``overwrite`` is false.
    """
    check_free(output, overwrite)
    output.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=output))
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


def check_free(output: Path, overwrite: bool) -> None:
    """Raise UserError if ``output`` has manifests already and ``overwrite`` is false, or is no folder."""
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: not a folder")
    taken = sorted(path.name for pattern in ("*.jsonl.gz", SUMMARY_FILE) for path in output.glob(pattern))
    if taken and not overwrite:
        raise UserError(f"{output}: holds {taken[0]} already; --overwrite replaces what `prepare` wrote there")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_split(folder: Path, split: str, utterances: Sequence[Utterance], shar_size: int | None) -> str:
    """Write a split as ``SPLIT.jsonl.gz``, or as Lhotse Shar in ``SPLIT-shar``; return the name."""
    from lhotse import CutSet

    if shar_size is None:
        name = f"{split}.jsonl.gz"
        with CutSet.open_writer(folder / name) as writer:
            for utterance in utterances:
                writer.write(to_cut(utterance))
        return name
    from lhotse.audio.backend import audio_backend

    name = f"{split}-shar"
    (folder / name).mkdir()
    with audio_backend("LibsndfileBackend"):  # Lhotse's default goes through torchaudio
        cuts = CutSet.from_cuts(map(to_cut, utterances))
        cuts.to_shar(folder / name, fields={"recording": "flac"}, shard_size=shar_size, verbose=False)
    return name


def to_cut(utterance: Utterance) -> Cut:
    """The Lhotse cut of an utterance: its whole recording, all channels, with one supervision."""
    from lhotse import AudioSource, MonoCut, MultiCut, Recording, SupervisionSegment
    from lhotse.serialization import deserialize_item
    from lhotse.utils import fastcopy

    row, audio = utterance.row, utterance.audio
    if row.cut is not None:
        cut = deserialize_item(copy.deepcopy(row.cut))  # it takes the dict apart
        return fastcopy(cut, id=row.id, supervisions=[fastcopy(cut.supervisions[0], text=utterance.text)])
    channels = list(range(audio.channels))
    channel = 0 if audio.channels == 1 else channels
    recording = Recording(
        id=row.id,
        sources=[AudioSource("file", channels, str(row.audio.resolve()))],
        sampling_rate=audio.sample_rate_hz,
        num_samples=audio.samples,
        duration=utterance.duration_s,
        channel_ids=channels,
    )
    supervision = SupervisionSegment(
        id=row.id,
        recording_id=row.id,
        start=0.0,
        duration=utterance.duration_s,
        channel=channel,
        text=utterance.text,
        speaker=row.speaker,
    )
    kind = MonoCut if audio.channels == 1 else MultiCut
    return kind(
        id=row.id,
        start=0.0,
        duration=utterance.duration_s,
        channel=channel,  # type: ignore[arg-type]
        supervisions=[supervision],
        recording=recording,
    )


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
