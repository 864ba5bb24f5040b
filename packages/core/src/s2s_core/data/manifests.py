"""Manifests: written all or none, of recordings as Lhotse's cuts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.data.audio_files import AudioInfo
from s2s_core.data.output_folder import SUMMARY_FILE, all_or_nothing, check_free

if TYPE_CHECKING:
    from lhotse.cut import Cut

__all__ = ["SUMMARY_FILE", "all_or_nothing", "check_free", "recording_cut", "write_cuts"]


def write_cuts(path: Path, cuts: Iterable[Cut], home: Path | None = None, relative: bool = False) -> None:
    """Write a manifest whose recordings can move with it.

    Args:
        path: where to.
        cuts: what to write.
        home: the folder where the manifest will lie, if that is another than ``path``'s. Recordings in or under it are
            named relative to it, which `CutTable` understands.
        relative: whether others are too; otherwise their paths are absolute, which Lhotse itself understands.
    """
    from lhotse import CutSet

    with CutSet.open_writer(path) as writer:
        for cut in cuts:
            writer.write(_at_home(cut, (home or path.parent).resolve(), relative))


def _at_home(cut: Cut, home: Path, relative: bool) -> Cut:
    from lhotse.utils import fastcopy

    recording = getattr(cut, "recording", None)
    if recording is None:
        return cut
    sources = [
        replace(source, source=Path(os.path.relpath(source.source, home)).as_posix())
        if source.type == "file" and (relative or Path(source.source).is_relative_to(home))
        else source
        for source in recording.sources
    ]
    return fastcopy(cut, recording=fastcopy(recording, sources=sources))


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
