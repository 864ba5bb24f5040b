"""Lhotse cuts as rows: manifests and Shar folders read once, recordings decoded on demand."""

from __future__ import annotations

import copy
import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from s2s_core.data.audio_files import read_audio, resample
from s2s_core.errors import UserError


class _TarMember(NamedTuple):
    path: str
    offset: int
    size: int


@dataclass(frozen=True)
class CutInfo:
    """What a batch needs to know of a cut besides its sound."""

    id: str
    text: str
    """The supervisions' texts in order of time, joined by spaces."""
    duration_s: float
    speaker: str | None = None
    """The first supervision's, where there is one."""


class _Row(NamedTuple):
    line: bytes
    duration_s: float
    member: _TarMember | None = None
    folder: str = "."
    """Of the manifest, which file names in it may be relative to."""


class CutTable:
    """The cuts of manifests, kept as their JSON lines: small in memory, cheap to hand to worker processes."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = list(rows)
        self.durations_s = np.array([row.duration_s for row in self._rows], dtype=np.float64)
        """``(cuts,)``."""

    @classmethod
    def load(cls, paths: Sequence[str | Path]) -> CutTable:
        """Read Lhotse CutSet manifests (``.jsonl``, ``.jsonl.gz``) and Lhotse Shar folders, one after the other.

        Raises:
            UserError: if a path is missing, unreadable, not a manifest of cuts, or holds no cuts; one line, with
                the path.
        """
        rows: list[_Row] = []
        for path in map(Path, paths):
            before = len(rows)
            rows.extend(_shar_rows(path) if path.is_dir() else _manifest_rows(path))
            if len(rows) == before:
                raise UserError(f"{path}: the manifest holds no cuts")
        return cls(rows)

    @classmethod
    def joined(cls, tables: Sequence[CutTable]) -> CutTable:
        """The cuts of several tables, one after the other."""
        return cls([row for table in tables for row in table._rows])

    def __len__(self) -> int:
        return len(self._rows)

    def select(self, indices: Sequence[int] | np.ndarray) -> CutTable:
        """The cuts at ``indices``, in their order."""
        return CutTable([self._rows[int(i)] for i in indices])

    def info(self, index: int) -> CutInfo:
        row = self._rows[index]
        data = json.loads(row.line)
        return CutInfo(str(data["id"]), _text(data), row.duration_s, _speaker(data))

    def audio(self, index: int, sample_rate_hz: int) -> Tensor:
        """The cut's sound ``(samples,)``, float32 in [-1, 1], the mean of its channels.

        Raises:
            UserError: if the recording cannot be read; the message names file and cut.
        """
        row = self._rows[index]
        data = json.loads(row.line)
        try:
            if row.member is not None:
                return _read_member(data, row.member, sample_rate_hz)
            return read_cut(data, sample_rate_hz, row.folder)
        except UserError as error:
            raise UserError(f"cut {data['id']!r}: {error}") from None


def read_cut(data: dict[str, Any], sample_rate_hz: int, folder: str | Path = ".") -> Tensor:
    """Decode a Lhotse cut, given as ``cut.to_dict()``: ``(samples,)``, float32, the mean of its channels.

    Args:
        data: the cut; its file names are put right in place.
        sample_rate_hz: of what is returned.
        folder: of the manifest. File names are relative to it or, as Lhotse has it, to the working directory.

    Raises:
        UserError: if the recording cannot be read; the message names the file.
    """
    for source in _sources(data):
        if source["type"] == "file" and not Path(source["source"]).is_absolute():
            beside = Path(folder) / source["source"]
            if beside.exists() or not Path(source["source"]).exists():
                source["source"] = str(beside)
    return _read_plain(data, sample_rate_hz) if _is_plain(data) else _read_with_lhotse(data, sample_rate_hz)


def _duration_s(data: dict[str, Any]) -> float:
    if "duration" in data:
        return float(data["duration"])
    return float(_cut(data).duration)


def _text(data: dict[str, Any]) -> str:
    supervisions = data.get("supervisions")
    if supervisions is None:  # a mix of cuts keeps them in its tracks
        supervisions = [
            {"start": s.start, "text": s.text} for s in (_cut(data).supervisions if "tracks" in data else [])
        ]
    ordered = sorted(supervisions, key=lambda s: s["start"])
    return " ".join(s["text"] for s in ordered if s.get("text"))


def _speaker(data: dict[str, Any]) -> str | None:
    return next((s["speaker"] for s in data.get("supervisions") or [] if s.get("speaker")), None)


def _cut(data: dict[str, Any]) -> Any:
    from lhotse.serialization import deserialize_item

    return deserialize_item(copy.deepcopy(data))  # it takes the dict apart


def _manifest_rows(path: Path) -> Iterator[_Row]:
    if not path.exists():
        here = "" if path.is_absolute() else f" in '{Path.cwd()}'"
        raise UserError(f"{path}: no such manifest{here}; `prepare CORPUS --input DIR --output DIR` writes manifests")
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise UserError(f"{path}: expected a Lhotse CutSet manifest (.jsonl.gz) or a Lhotse Shar folder")
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    data = _parse_cut(line, f"{path}:{number}")
                    yield _Row(line, _duration_s(data), folder=str(path.parent))
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def _parse_cut(line: bytes, where: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error})") from None
    if not isinstance(data, dict) or not str(data.get("type", "")).endswith("Cut") or "id" not in data:
        raise UserError(f"{where}: not a Lhotse cut; `prepare` writes manifests of cuts")
    return data


def _shar_rows(folder: Path) -> Iterator[_Row]:
    manifests = sorted([*folder.glob("cuts.*.jsonl.gz"), *folder.glob("cuts.*.jsonl")])
    if not manifests:
        raise UserError(f"{folder}: neither a manifest nor a Lhotse Shar folder (no cuts.*.jsonl.gz in it)")
    for manifest in manifests:
        shard = manifest.name.removesuffix(".gz").removesuffix(".jsonl").removeprefix("cuts.")
        archive = folder / f"recording.{shard}.tar"
        rows = list(_manifest_rows(manifest))
        members = _archive_members(archive)
        if len(members) != len(rows):
            raise UserError(f"{archive}: {len(members)} recordings for the {len(rows)} cuts of {manifest.name}")
        yield from (row._replace(member=member) for row, member in zip(rows, members, strict=True))


def _archive_members(path: Path) -> list[_TarMember]:
    if not path.is_file():
        raise UserError(f"{path}: no such archive; a Lhotse Shar folder has one beside each cuts file")
    try:
        with tarfile.open(path) as archive:
            return [
                _TarMember(str(path), member.offset_data, member.size)
                for member in archive
                if not member.name.endswith((".json", ".nometa"))
            ]
    except tarfile.TarError as error:
        raise UserError(f"{path}: cannot be read ({error})") from None


def _is_plain(data: dict[str, Any]) -> bool:
    recording = data.get("recording")
    if not recording or recording.get("transforms") or data["type"] not in ("MonoCut", "MultiCut"):
        return False
    sources = recording["sources"]
    return len(sources) == 1 and sources[0]["type"] == "file"


def _read_plain(data: dict[str, Any], sample_rate_hz: int) -> Tensor:
    recording = data["recording"]
    source = recording["sources"][0]
    audio, _ = read_audio(
        source["source"],
        sample_rate_hz,
        start_s=data["start"],
        duration_s=data["duration"],
        channels=[source["channels"].index(channel) for channel in _channels(data)],
    )
    return audio


def _channels(data: dict[str, Any]) -> list[int]:
    channel = data["channel"]
    return [channel] if isinstance(channel, int) else list(channel)


def _read_member(data: dict[str, Any], member: _TarMember, sample_rate_hz: int) -> Tensor:
    if not member.size:
        raise UserError(f"{member.path}: the archive holds no recording of it")
    try:
        with Path(member.path).open("rb") as file:
            file.seek(member.offset)
            content = file.read(member.size)
    except OSError as error:
        raise UserError(f"{member.path}: cannot be read ({error})") from None
    # an archive keeps the cut's stretch and channels only
    audio, _ = read_audio(io.BytesIO(content), sample_rate_hz, duration_s=data["duration"], name=member.path)
    return audio


def _sources(data: dict[str, Any]) -> list[dict[str, Any]]:
    cuts = [track["cut"] for track in data["tracks"]] if "tracks" in data else [data]
    return [source for cut in cuts for source in (cut.get("recording") or {}).get("sources", [])]


def _source_names(data: dict[str, Any]) -> list[str]:
    return [str(source["source"]) if source["type"] == "file" else source["type"] for source in _sources(data)]


def _read_with_lhotse(data: dict[str, Any], sample_rate_hz: int) -> Tensor:
    import torch
    from lhotse.audio.backend import audio_backend

    cut = _cut(data)
    try:
        with audio_backend("LibsndfileBackend"):  # Lhotse's default goes through torchaudio.load
            samples = cut.load_audio()
    except Exception as error:  # decoders and readers of every source type raise their own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{', '.join(_source_names(data))}: not readable audio: {reason}") from None
    if samples is None or not samples.size:
        raise UserError("the cut has no audio")
    audio = torch.from_numpy(np.ascontiguousarray(samples.mean(axis=0, dtype=np.float32)))
    return resample(audio, int(cut.sampling_rate), sample_rate_hz)
