"""Is a pair good to train on? Its encoding, its sides, their lengths."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from s2s_core.text.sentences import clean_line
from s2s_nmt.prepare.sources import Line, Source, read_lines


@dataclass(frozen=True)
class CheckOptions:
    """What a good pair is. Lengths and repetition are looked at in training data only."""

    max_words: int = 80
    """Of either side; 0 allows any. OpenSeq2Seq's preparation kept 1 to 80."""
    max_ratio: float = 9.0
    """Words of the longer side for each of the shorter; 0 allows any. Moses' ``clean-corpus-n`` has 9."""
    deduplicate: bool = False
    """Drop a pair that was there before."""


@dataclass(frozen=True)
class Pair:
    """A pair that passed."""

    id: str
    """Its line number."""
    source: str
    target: str


@dataclass(frozen=True)
class Rejected:
    """A line, or several in a row, that are left out."""

    where: str
    """``file:line``."""
    reason: str
    """One of few, to be counted."""
    detail: str
    lines: int = 1


def check_lines(source: Source, options: CheckOptions) -> Iterator[Pair | Rejected]:
    """Clean and check a split's lines, in order; the same every time."""
    seen: set[bytes] = set()
    for line in read_lines(source):
        result = _check_sides(line, source)
        if isinstance(result, Pair) and source.split == "train":
            rejected = _check_lengths(result, options) or (
                _check_repeated(result, seen) if options.deduplicate else None
            )
            if rejected is not None:
                result = Rejected(f"{source.path.name}:{line.number}", *rejected)
        yield result


def _check_sides(line: Line, source: Source) -> Pair | Rejected:
    paths = (source.path, source.target or source.path)
    texts = []
    for side, content, path in zip(("source", "target"), (line.source, line.target), paths, strict=True):
        where = f"{path.name}:{line.number}"
        if content is None:
            where = where if line.span == 1 else f"{where}-{line.number + line.span - 1}"
            detail = "no tab in the line" if source.target is None else "the other file has lines that this one has not"
            return Rejected(where, f"no {side}", detail, line.span)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            detail = f"byte {error.start} in {content[max(0, error.start - 20) : error.start + 20]!r}"
            return Rejected(where, "invalid UTF-8", detail)
        texts.append(clean_line(text))
        if not texts[-1]:
            return Rejected(where, f"empty {side}", repr(text))
    return Pair(str(line.number), texts[0], texts[1])


def _check_lengths(pair: Pair, options: CheckOptions) -> tuple[str, str] | None:
    counts = count_words(pair.source), count_words(pair.target)
    detail = f"{counts[0]} and {counts[1]} words: {pair.source[:60]!r}"
    if options.max_words and max(counts) > options.max_words:
        return f"more than {options.max_words} words", detail
    if options.max_ratio and max(counts) > options.max_ratio * min(counts):
        return f"word ratio above {options.max_ratio:g}", detail
    return None


def _check_repeated(pair: Pair, seen: set[bytes]) -> tuple[str, str] | None:
    # a digest is a fifth of the size of a pair, and 16 bytes of it do not meet by chance
    digest = hashlib.blake2b(f"{pair.source}\n{pair.target}".encode(), digest_size=16).digest()
    if digest in seen:
        return "repeated pair", repr(pair.source[:60])
    seen.add(digest)
    return None


# kana, Han and Thai: scripts without spaces, of which each character counts as a word
_WORDS = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\\s\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")


def count_words(text: str) -> int:
    """Words between spaces; in scripts that write none, characters."""
    return len(text.split()) if text.isascii() else len(_WORDS.findall(text))
