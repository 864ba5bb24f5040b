"""Parallel text where it lies: which files make a split, and their lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2s_core.errors import UserError

SPLIT_OF_PREFIX = {"train": "train", "val": "validation", "dev": "validation", "test": "test"}
"""What files are for, by how their names begin."""


@dataclass(frozen=True)
class Source:
    """Where the pairs of a split are read from: a file a side, or one with a tab between the sides."""

    split: str
    path: Path
    target: Path | None = None


@dataclass(frozen=True)
class Line:
    """A line of a parallel corpus, as bytes; a side that has no such line is None."""

    number: int
    """From 1."""
    source: bytes | None
    target: bytes | None
    span: int = 1
    """How many lines from here on are meant: those that one side has and the other has not."""


def find_sources(
    source: Path, target: Path | None, languages: tuple[str, str] | None, stems: dict[str, str]
) -> list[Source]:
    """The splits that lie at ``source``.

    Args:
        source: a text file whose counterpart is ``target``; a file of tab-separated pairs (``.tsv``); or a folder of
            ``NAME.LANGUAGE`` files, or of ``.tsv`` files. Any of them may be gzipped.
        target: the other side of a single text file.
        languages: the endings of source and target files in a folder.
        stems: for a folder: which file names make which split, without language and ``.gz``. Empty: those that begin
            with ``train``, ``val`` or ``dev``, and ``test``.

    Raises:
        UserError: if nothing is found, a side is missing, or a split would be made of two names.
    """
    if not source.exists():
        raise UserError(f"{source}: no such file or folder")
    if target is not None:
        if source.is_dir() or not target.is_file():
            raise UserError(f"{source if source.is_dir() else target}: expected a text file")
        return [Source("train", source, target)]
    if source.is_file():
        if not _without_gz(source).endswith(".tsv"):
            raise UserError(f"{source}: give its other side with --target FILE, or a .tsv with both")
        return [Source("train", source)]
    return _in_folder(source, languages, stems)


def _in_folder(folder: Path, languages: tuple[str, str] | None, stems: dict[str, str]) -> list[Source]:
    ending = "tsv" if languages is None else languages[0]
    found = {
        _without_gz(path).removesuffix(f".{ending}"): path for path in sorted(folder.iterdir()) if _is(path, ending)
    }
    if not found:
        hint = "" if languages else "; for NAME.en and NAME.de give --source-language en --target-language de"
        raise UserError(f"{folder}: no file ends in .{ending} or .{ending}.gz{hint}")
    chosen = stems or _guessed_stems(folder, list(found))
    sources = []
    for split, stem in chosen.items():
        if stem not in found:
            raise UserError(f"{folder}: no {stem}.{ending}; there are {', '.join(found)}")
        sources.append(Source(split, found[stem], _counterpart(found[stem], stem, languages)))
    return sources


def _guessed_stems(folder: Path, stems: Sequence[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for stem in stems:
        split = next((split for prefix, split in SPLIT_OF_PREFIX.items() if stem.startswith(prefix)), None)
        if split is None:
            continue
        if split in chosen:
            raise UserError(
                f"{folder}: {chosen[split]} and {stem} both look like {split}; choose: --split {split}={stem}"
            )
        chosen[split] = stem
    if not chosen:
        raise UserError(f"{folder}: which is for training? There are {', '.join(stems)}; say --split train=NAME")
    return {split: chosen[split] for split in ("train", "validation", "test") if split in chosen}


def _counterpart(path: Path, stem: str, languages: tuple[str, str] | None) -> Path | None:
    if languages is None:
        return None
    for name in (f"{stem}.{languages[1]}", f"{stem}.{languages[1]}.gz"):
        if (path.parent / name).is_file():
            return path.parent / name
    raise UserError(f"{path}: its other side {stem}.{languages[1]} (or .gz) is missing")


def _is(path: Path, ending: str) -> bool:
    return path.is_file() and _without_gz(path).endswith(f".{ending}")


def _without_gz(path: Path) -> str:
    return path.name.removesuffix(".gz")


def read_lines(source: Source) -> Iterator[Line]:
    """The lines of a split; only a line feed ends a line, as every line-counting tool has it.

    Raises:
        UserError: if a file cannot be read.
    """
    if source.target is None:
        for number, line in _numbered(source.path):
            cells = line.split(b"\t")
            yield Line(number, cells[0], cells[1] if len(cells) > 1 else None)
        return
    left, right = _numbered(source.path), _numbered(source.target)
    number = 0
    for number, line in left:
        other = next(right, None)
        if other is None:
            yield Line(number, line, None, 1 + sum(1 for _ in left))
            return
        yield Line(number, line, other[1])
    surplus = sum(1 for _ in right)
    if surplus:
        yield Line(number + 1, None, b"", surplus)


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                line = line.rstrip(b"\r\n")
                yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
