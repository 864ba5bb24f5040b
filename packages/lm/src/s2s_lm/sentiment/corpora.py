"""Labelled texts in the layouts that corpora have."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s2s_core.errors import UserError

SST_LABELS = {"0": "negative", "1": "positive"}
IMDB_HOLD_OUT = 1000
"""Training reviews that become the validation set, as in OpenSeq2Seq: 24,000, 1,000 and 25,000."""


@dataclass(frozen=True)
class Labelled:
    """A text and its class; or why a row is left out."""

    where: str
    text: str
    label: str
    reason: str = ""


def read_sst2(folder: Path) -> dict[str, list[Labelled]]:
    """SST-2: ``train.tsv``, ``dev.tsv``, ``test.tsv`` of ``sentence<TAB>label``, with or without GLUE's header."""
    names = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    found = {split: list(_sst_rows(folder / name)) for split, name in names.items() if (folder / name).is_file()}
    if "train" not in found:
        raise UserError(f"--input {folder}: has no train.tsv")
    return found


def _sst_rows(path: Path) -> Iterator[Labelled]:
    for number, line in _lines(path):
        where = f"{path.name}:{number}"
        fields = line.split("\t")
        if number == 1 and "sentence" in fields:
            if fields[0] == "index":
                return  # GLUE's test set has no labels
            continue
        label = SST_LABELS.get(fields[-1].strip(), "")
        reason = "" if len(fields) == 2 and label else "not sentence<TAB>0 or 1"
        yield Labelled(where, fields[0].strip(), label, reason or ("" if fields[0].strip() else "empty text"))


def read_imdb(folder: Path, ratings: bool) -> dict[str, list[Labelled]]:
    """IMDB (Maas et al. 2011): ``train`` and ``test`` folders with ``pos`` and ``neg``, files named ``ID_RATING.txt``.

    Args:
        folder: holds them.
        ratings: classes are the ratings 1 to 10 (5 and 6 do not occur) instead of negative and positive.
    """
    found: dict[str, list[Labelled]] = {}
    for split in ("train", "test"):
        rows: list[Labelled] = []
        for part, label in (("neg", "negative"), ("pos", "positive")):
            files = sorted((folder / split / part).glob("*.txt"))
            if not files:
                raise UserError(f"--input {folder}: no files in {split}/{part}")
            rows += [_review(path, label, ratings) for path in files]
        found[split] = rows
    random.Random(0).shuffle(found["train"])
    held = min(IMDB_HOLD_OUT, len(found["train"]) // 10)
    found["validation"], found["train"] = found["train"][:held], found["train"][held:]
    return found


def _review(path: Path, label: str, ratings: bool) -> Labelled:
    where = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        return Labelled(where, "", "", f"invalid UTF-8 at byte {error.start}")
    if ratings:
        label = path.stem.partition("_")[2]
        if not label.isdigit():
            return Labelled(where, text, "", "no rating in the file's name")
    return Labelled(where, text, label, "" if text else "empty text")


def read_csv(folder: Path, text_column: str, label_column: str, hold_out: float) -> dict[str, list[Labelled]]:
    """Tables with a header: a file, or ``train``, ``validation`` (or ``valid``, ``dev``) and ``test`` .csv or .tsv."""
    if folder.is_file():
        found = {"train": list(_csv_rows(folder, text_column, label_column))}
    else:
        names = {"train": ["train"], "validation": ["validation", "valid", "dev"], "test": ["test"]}
        found = {}
        for split, stems in names.items():
            paths = [p for stem in stems for end in ("csv", "tsv") if (p := folder / f"{stem}.{end}").is_file()]
            if paths:
                found[split] = list(_csv_rows(paths[0], text_column, label_column))
        if "train" not in found:
            raise UserError(f"--input {folder}: has no train.csv or train.tsv")
    if "validation" not in found and hold_out:
        random.Random(0).shuffle(found["train"])
        held = round(len(found["train"]) * hold_out)
        found["validation"], found["train"] = found["train"][:held], found["train"][held:]
    return found


def _csv_rows(path: Path, text_column: str, label_column: str) -> Iterator[Labelled]:
    lines = (f"{line}\n" for _, line in _lines(path))
    reader = csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ",")
    for column in (text_column, label_column):
        if column not in (reader.fieldnames or []):
            raise UserError(f"{path}: no column {column!r}; there are {', '.join(reader.fieldnames or [])}")
    for number, row in enumerate(reader, start=2):
        text, label = (row[text_column] or "").strip(), (row[label_column] or "").strip()
        reason = "" if text and label else "empty text" if not text else "no label"
        yield Labelled(f"{path.name}:{number}", text, label, reason)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield number, line.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise UserError(f"{path}:{number}: not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
