"""Corpora in their official layouts."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.prepare.tables import read_csv_corpus
from s2s_core.errors import UserError

_SUFFIXES = (".flac", ".wav", ".ogg", ".opus", ".mp3")


def read_librispeech(source: Path) -> Iterator[Row | Rejected]:
    """Read LibriSpeech and what is laid out like it: ``PART/SPEAKER/CHAPTER/*.flac`` with a ``.trans.txt`` file.

    Every part becomes a split of its own name. The folder may also be a single part.

    Raises:
        UserError: if no transcript is found.
    """
    transcripts = sorted(source.glob("*/*/*/*.trans.txt"))
    if not transcripts:
        transcripts = sorted(source.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise UserError(f"{source}: no PART/SPEAKER/CHAPTER/*.trans.txt below it")
    for transcript in transcripts:
        yield from _read_chapter(transcript)


def _read_chapter(transcript: Path) -> Iterator[Row | Rejected]:
    folder = transcript.parent
    split, speaker = folder.parent.parent.name, folder.parent.name
    named: set[str] = set()
    for number, line in enumerate(transcript.read_bytes().splitlines(), start=1):
        where = f"{transcript.name}:{number}"
        try:
            name, _, text = line.decode().strip().partition(" ")
        except UnicodeDecodeError as error:
            yield Rejected(where, "invalid UTF-8", str(error))
            continue
        if name:
            named.add(name)
            yield Row(split, name, _with_any_suffix(folder / name, ".flac"), text, where, speaker)
    for audio in sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES):
        if audio.stem not in named:
            yield Rejected(f"{transcript.name}", "no transcript", str(audio), audio.stem)


def read_ljspeech(source: Path) -> Iterator[Row | Rejected]:
    """Read LJ Speech: ``metadata.csv`` (``id|text|normalised text``) and ``wavs``; all of it is ``train``.

    Raises:
        UserError: if ``metadata.csv`` is not there.
    """
    metadata = source / "metadata.csv"
    if not metadata.is_file():
        raise UserError(f"{metadata}: no such file; LJ Speech has one")
    yield from _read_metadata(metadata, metadata.name, "LJ")


def read_mailabs(source: Path) -> Iterator[Row | Rejected]:
    """Read M-AILABS: ``.../SPEAKER/BOOK/metadata.csv`` as in LJ Speech, with ``wavs`` beside; all of it is ``train``.

    The folder may be the whole corpus, a language, a speaker or a book. The folder above a book names its speaker.

    Raises:
        UserError: if no ``metadata.csv`` is below it.
    """
    tables = sorted(source.rglob("metadata.csv"))
    if not tables:
        raise UserError(f"{source}: no metadata.csv below it; M-AILABS has one in every book's folder")
    for table in tables:
        yield from _read_metadata(table, table.relative_to(source).as_posix(), table.resolve().parent.parent.name)


def _read_metadata(metadata: Path, name: str, speaker: str) -> Iterator[Row | Rejected]:
    for number, line in enumerate(metadata.read_bytes().splitlines(), start=1):
        where = f"{name}:{number}"
        try:
            fields = line.decode("utf-8-sig").split("|")
        except UnicodeDecodeError as error:
            yield Rejected(where, "invalid UTF-8", str(error))
            continue
        if len(fields) not in (2, 3):
            yield Rejected(where, "malformed row", f"{len(fields)} columns, expected id|text|normalised text")
            continue
        audio = _with_any_suffix(metadata.parent / "wavs" / fields[0], ".wav")
        yield Row("train", fields[0], audio, fields[-1], where, speaker)


def _with_any_suffix(stem: Path, official: str) -> Path:
    # dots in a name are part of it, so no with_suffix
    found = (stem.with_name(stem.name + suffix) for suffix in (official, *_SUFFIXES))
    return next((path for path in found if path.is_file()), stem.with_name(stem.name + official))


def read_an4(source: Path) -> Iterator[Row | Rejected]:
    """Read CMU AN4 as ``train.csv`` and ``test.csv`` in OpenSeq2Seq's format; the folder of a file is its speaker."""
    for row in read_csv_corpus(source):
        yield replace(row, speaker=row.audio.parent.name) if isinstance(row, Row) else row


def hold_out(
    rows: Iterable[Row | Rejected], share: float, whole_speakers: bool = True, split: str = "validation"
) -> list[Row | Rejected]:
    """Move about ``share`` of the ``train`` rows to another split.

    Which ones depends on the names alone. Nothing moves where there are rows of that split already.

    Args:
        rows: of the corpus.
        share: in [0, 1).
        whole_speakers: a speaker moves with all utterances, where three or more are known; otherwise single utterances.
        split: where they go.
    """
    rows = list(rows)
    train = [row for row in rows if isinstance(row, Row) and row.split == "train"]
    if not share or any(isinstance(row, Row) and row.split == split for row in rows):
        return rows
    sizes = Counter(row.speaker for row in train if row.speaker)
    by_speaker = whole_speakers and len(sizes) >= 3
    if not by_speaker:
        sizes = Counter(row.id for row in train)
    moved: set[str] = set()
    wanted = share * len(train)
    for name in sorted(sizes, key=lambda name: (zlib.crc32(str(name).encode()), name)):
        if sum(sizes[m] for m in moved) + sizes[name] / 2 > wanted:
            break
        moved.add(str(name))
    return [
        replace(row, split=split)
        if isinstance(row, Row) and row.split == "train" and (row.speaker if by_speaker else row.id) in moved
        else row
        for row in rows
    ]
