"""Language-model files for other libraries: their words, and copies without what those cannot read."""

from __future__ import annotations

import gzip
import io
import mmap
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from s2s_core.errors import UserError

DATA, UNIGRAMS = "\\data\\", "\\1-grams:"


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file, gzipped or not.

    Raises:
        UserError: if it cannot be read, also while it is.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as binary:
            yield io.TextIOWrapper(binary, encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8") from None
    except (OSError, EOFError, zlib.error) as error:  # the last two: an archive that is cut off, or damaged
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def after_mark(lines: Iterator[str], mark: str, path: Path) -> None:
    """Go on to the line behind the first that is ``mark``.

    Raises:
        UserError: if none is.
    """
    if not any(line.strip() == mark for line in lines):
        raise UserError(f"{path}: no {mark} in the file: not an ARPA model")


def unigram_words(path: Path) -> list[str]:
    """The words of an ARPA model, its marks for beginning, end and unknown words among them; reads no further.

    Raises:
        UserError: if the file is no ARPA model.
    """
    words = []
    with open_text(path) as file:
        after_mark(file, DATA, path)
        after_mark(file, UNIGRAMS, path)
        for line in file:
            if line.lstrip().startswith("\\"):
                break
            fields = line.split()
            if len(fields) > 1:
                words.append(fields[1])
    return words


def binary_words(path: Path) -> list[str] | None:
    """The words of a model that KenLM has compiled; None if it was compiled without them.

    The format ends with the words, each closed by a zero byte, the unknown word first.

    Raises:
        UserError: if the file cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = max(content.rfind(b"<unk>\0"), content.rfind(b"<UNK>\0"))
            rows = [] if start < 0 else content[start:].split(b"\0")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path}: the file is empty") from None
    try:
        words = [row.decode("utf-8") for row in rows if row]
    except UnicodeDecodeError:
        return None
    return words if "</s>" in words else None


def is_plain(path: Path) -> bool:
    """Whether an ARPA file is as KenLM wants it: begun by its data mark, not compressed, its fields set off by tabs."""
    if path.suffix == ".gz":
        return False
    with open_text(path) as file:
        if next((line.strip() for line in file if line.strip()), "") != DATA:
            return False
        unigrams = any(line.strip() == UNIGRAMS for line in file)
        first = next((line for line in file if line.strip()), "")
        return unigrams and len(first.rstrip().split("\t")) == len(first.split())


def write_plain(path: Path, target: Path, rewrite: Callable[[str], str] | None = None) -> None:
    """Copy an ARPA model from its data mark on, with tabs between fields, each word as ``rewrite`` has it.

    Raises:
        UserError: if the file is no ARPA model.
    """
    with open_text(path) as file, target.open("w", encoding="utf-8") as out:
        after_mark(file, DATA, path)
        out.write(f"{DATA}\n")
        order = 0
        for line in file:
            if line.startswith("\\"):
                mark = line.strip()[1:].removesuffix("-grams:")
                order = int(mark) if mark.isdigit() else 0
            elif order and line.strip():
                fields = line.split()
                words = [_rewritten(word, rewrite) for word in fields[1 : order + 1]]
                line = "\t".join([fields[0], " ".join(words), *fields[order + 1 :]]) + "\n"
            out.write(line)


def _rewritten(word: str, rewrite: Callable[[str], str] | None) -> str:
    return word if rewrite is None or word.startswith("<") else rewrite(word)
