"""Manifests: written all or none, of recordings as Lhotse's cuts."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.data.audio_files import AudioInfo
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from lhotse.cut import Cut

SUMMARY_FILE = "summary.json"
"""Says under ``files`` what else was written."""


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


def recording_cut(
    name: str,
    path: Path,
    audio: AudioInfo,
    text: str,
    speaker: str | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> Cut:
    """The Lhotse cut of a recording, all channels, with one supervision.

    Args:
        name: of the cut.
        path: of the recording.
        audio: what the recording is.
        text: the supervision's.
        speaker: the supervision's.
        start_s: where the cut begins.
        duration_s: how long it is; to the end if None.
    """
    from lhotse import AudioSource, MonoCut, MultiCut, Recording, SupervisionSegment

    whole_s = audio.samples / audio.sample_rate_hz
    duration_s = whole_s - start_s if duration_s is None else duration_s
    channels = list(range(audio.channels))
    channel = 0 if audio.channels == 1 else channels
    recording = Recording(
        id=name,
        sources=[AudioSource("file", channels, str(path.resolve()))],
        sampling_rate=audio.sample_rate_hz,
        num_samples=audio.samples,
        duration=whole_s,
        channel_ids=channels,
    )
    supervision = SupervisionSegment(
        id=name, recording_id=name, start=0.0, duration=duration_s, channel=channel, text=text, speaker=speaker
    )
    kind = MonoCut if audio.channels == 1 else MultiCut
    return kind(
        id=name,
        start=start_s,
        duration=duration_s,
        channel=channel,  # type: ignore[arg-type]
        supervisions=[supervision],
        recording=recording,
    )
