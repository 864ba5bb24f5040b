"""Corpora that list their recordings in CSV or TSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.prepare.writing import REJECTED_FILE
from s2s_core.errors import UserError

SPLIT_NAMES = {"dev": "validation", "val": "validation", "valid": "validation"}
"""File stems that mean one of our splits."""


class _Reader(Protocol):
    line_num: int

    def __next__(self) -> list[str]: ...


_SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")


def read_csv_corpus(source: Path, audio_root: Path | None = None) -> Iterator[Row | Rejected]:
    """Read OpenSeq2Seq's tables: ``wav_filename,wav_filesize,transcript``.

    Columns ``id`` and ``speaker`` are used where there are any; ``wav_filesize`` is not. A file's stem names its
    split. Without an ``id`` column an utterance is called by its file name, or by its path where names repeat.

    Args:
        source: a CSV or TSV file, or a folder whose CSV and TSV files are read.
        audio_root: what relative file names are relative to; the table's folder if None.

    Raises:
        UserError: if there is no table, or one lacks a column.
    """
    tables = [source] if source.is_file() else sorted([*source.glob("*.csv"), *source.glob("*.tsv")])
    tables = [table for table in tables if table.name != REJECTED_FILE]  # of a corpus prepared in its own folder
    if not tables:
        raise UserError(f"{source}: no .csv or .tsv file in it")
    for table in tables:
        yield from _read_csv(table, audio_root or table.parent)


def _read_csv(table: Path, root: Path) -> Iterator[Row | Rejected]:
    split = SPLIT_NAMES.get(table.stem, table.stem)
    rows = list(read_table(table, ("wav_filename", "transcript")))
    names = [Path(row["wav_filename"]) for row in rows if isinstance(row, dict)]
    by_stem = len({name.stem for name in names}) == len({str(name) for name in names})
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        name = Path(row["wav_filename"])
        called = name.stem if by_stem else name.with_suffix("").as_posix()
        yield Row(
            split=split,
            id=row.get("id") or called,
            audio=root / name,
            text=row["transcript"],
            where=row[""],
            speaker=_speaker(row),
        )


def read_common_voice(source: Path, splits: Sequence[str] = ("train", "dev", "test")) -> Iterator[Row | Rejected]:
    """Read Common Voice: the folder of one language, with ``train.tsv``, ``dev.tsv``, ``test.tsv`` and ``clips``.

    Raises:
        UserError: if none of the tables is there, or one lacks a column.
    """
    tables = [source / f"{split}.tsv" for split in splits]
    tables = [table for table in tables if table.is_file()]
    if not tables:
        raise UserError(f"{source}: none of {', '.join(f'{split}.tsv' for split in splits)} in it")
    for table in tables:
        for row in read_table(table, ("path", "sentence")):
            if isinstance(row, Rejected):
                yield row
                continue
            clip = Path(row["path"])
            yield Row(
                split=SPLIT_NAMES.get(table.stem, table.stem),
                id=clip.stem,
                audio=source / "clips" / (clip if clip.suffix else clip.with_suffix(".mp3")),
                text=row["sentence"],
                where=row[""],
                speaker=_speaker(row),
            )


def _speaker(row: dict[str, str]) -> str | None:
    return next((row[column] for column in _SPEAKER_COLUMNS if row.get(column)), None)


def read_table(table: Path, required: Sequence[str]) -> Iterator[dict[str, str] | Rejected]:
    """Rows of a CSV (``.csv``) or a tab-separated file (any other ending) as dicts; key ``""`` holds ``file:row``.

    Raises:
        UserError: if the file cannot be read or lacks one of the ``required`` columns; names them.
    """
    quoted = table.suffix.lower() == ".csv"
    try:
        # bytes that are not UTF-8 come through as lone surrogates, so that one bad row costs one row
        file = table.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise UserError(f"{table}: cannot be read ({error.strerror})") from None
    with file:
        reader = csv.reader(
            file, delimiter="," if quoted else "\t", quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        )
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in required if name not in header]
        if missing:
            found = ", ".join(header)[:200] if header else "nothing: the file is empty"
            raise UserError(f"{table}: no column {', '.join(missing)} in the first row (found {found})")
        yield from _checked_rows(reader, header, required, table)


def _checked_rows(
    reader: _Reader, header: list[str], required: Sequence[str], table: Path
) -> Iterator[dict[str, str] | Rejected]:
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Rejected(f"{table.name}:{first}", "malformed row", str(error))
            continue
        if not fields:
            continue
        lines = f"{first}-{reader.line_num}" if reader.line_num > first else str(first)
        where = f"{table.name}:{lines}"
        fault = _fault(fields, header, required)
        if fault:
            yield Rejected(where, *fault)
        else:
            yield {**dict(zip(header, fields, strict=True)), "": where}


def _fault(fields: list[str], header: list[str], required: Sequence[str]) -> tuple[str, str] | None:
    if any("\ud800" <= character <= "\udfff" for text in fields for character in text):
        return "invalid UTF-8", "bytes that are not UTF-8"
    if len(fields) != len(header):
        return "malformed row", f"{len(fields)} columns, the header has {len(header)}"
    if any("\n" in text or "\r" in text for text in fields):
        return "malformed row", "a field runs over several lines: an unbalanced quotation mark?"
    name = fields[header.index(required[0])]
    return None if name.strip() else ("malformed row", f"{required[0]} is empty")
