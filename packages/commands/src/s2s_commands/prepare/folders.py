"""Sounds sorted into folders, listed in tables, or named after what they are."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from s2s_commands.prepare.clips import TEST, TRAIN, VALIDATION, Clip, Corpus, held_out
from s2s_core.data.audio_files import AUDIO_SUFFIXES
from s2s_core.errors import UserError

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
"""What folders, tables and their column ``split`` may call a split."""
FSDD_TEST_TAKES = 5
"""Takes below this are the official test split of FSDD."""
_FSDD_NAME = re.compile(r"(\d)_([^_]+)_(\d+)")


def read_fsdd(source: Path) -> Corpus:
    """Read the Free Spoken Digit Dataset: ``recordings/DIGIT_SPEAKER_TAKE.wav``; takes 0 to 4 are the test split.

    Of the other takes, the last of each digit and speaker is ``validation``. Train on both, once settings are chosen.

    Raises:
        UserError: if no file is named like that.
    """
    folder = source / "recordings" if (source / "recordings").is_dir() else source
    named = [(path, match) for path in sorted(folder.glob("*.wav")) if (match := _FSDD_NAME.fullmatch(path.stem))]
    if not named:
        raise UserError(f"{folder}: no DIGIT_SPEAKER_TAKE.wav in it, the layout of FSDD")
    last: dict[tuple[str, str], int] = {}
    for _, match in named:
        last[match[1], match[2]] = max(last.get((match[1], match[2]), 0), int(match[3]))
    corpus = Corpus()
    for path, match in named:
        digit, speaker, take = match[1], match[2], int(match[3])
        kept = VALIDATION if take == last[digit, speaker] else TRAIN
        split = TEST if take < FSDD_TEST_TAKES else kept
        corpus.clips.append(Clip(split, path.stem, path, digit, speaker))
    return corpus


def read_folders(source: Path) -> Corpus:
    """Read one folder a class, or ``train``, ``validation`` and ``test`` folders of such; a folder's name is the label.

    Without splits, a tenth becomes validation and a tenth test, by the hash of the files' names. Folders that begin
    with ``_`` or ``.`` are left out.

    Raises:
        UserError: if there is no audio in folders.
    """
    folders = sorted(path for path in source.iterdir() if path.is_dir() and path.name[0] not in "_.")
    split_folders = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
    corpus = Corpus()
    if split_folders:
        for folder in split_folders:
            for path in _audio_in(folder):
                split = SPLIT_NAMES[folder.name.lower()]
                corpus.clips.append(_labelled(split, folder, path))
    else:
        for path in _audio_in(source):
            clip = _labelled(TRAIN, source, path)
            corpus.clips.append(_labelled(held_out(clip.name), source, path))
    if not corpus.clips:
        raise UserError(f"{source}: no CLASS/FILE in it ({' '.join(sorted(AUDIO_SUFFIXES))})")
    return corpus


def _audio_in(folder: Path) -> list[Path]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "_.")
    return [path for cls in classes for path in sorted(cls.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES]


def _labelled(split: str, root: Path, path: Path) -> Clip:
    name = path.relative_to(root)
    return Clip(split, name.with_suffix("").as_posix(), path, name.parts[0])


def read_tables(source: Path) -> Corpus:
    """Read ``.csv`` tables with the columns ``wav_filename`` and ``label``; file names are relative to the table.

    A column ``split`` names the split, otherwise the table's own name does (``train.csv``); where neither does, files
    are held out as in `read_folders`. A column ``speaker`` is kept, and whole speakers are held out by it.

    Raises:
        UserError: if there is no table, a column is missing, or a row has no label; names file and row.
    """
    tables = [source] if source.is_file() else sorted(source.glob("*.csv"))
    if not tables:
        raise UserError(f"{source}: no .csv file in it")
    corpus = Corpus()
    for table in tables:
        corpus.clips += _read_table(table)
    return corpus


def _read_table(table: Path) -> list[Clip]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: not a CSV file in UTF-8 ({error})") from None
    missing = [column for column in ("wav_filename", "label") if rows and column not in rows[0]]
    if missing or not rows:
        raise UserError(f"{table}: {'no column ' + ', '.join(missing) if missing else 'no rows'}")
    return [_clip_of(row, f"{table}:{number}", table) for number, row in enumerate(rows, start=2)]


def _clip_of(row: dict[str, str | None], where: str, table: Path) -> Clip:
    name, label = row["wav_filename"], row["label"]
    if not name or not label:
        raise UserError(f"{where}: {'label' if name else 'wav_filename'} is empty")
    speaker = row.get("speaker") or None
    given = row.get("split") or table.stem
    split = SPLIT_NAMES.get(given.lower())
    if split is None and row.get("split"):
        raise UserError(f"{where}: split is {given!r}, expected one of {', '.join(SPLIT_NAMES)}")
    stem = Path(name).with_suffix("").as_posix()
    return Clip(split or held_out(speaker or stem), stem, table.parent / name, label, speaker)
