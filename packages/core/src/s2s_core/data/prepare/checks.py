"""Is a row good to train on? Its transcript, its recording, and the two together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from s2s_core.data.audio_files import AudioInfo, inspect_audio
from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.speech import read_cut
from s2s_core.errors import UserError
from s2s_core.text.normalise import normalise_text


@dataclass(frozen=True)
class CheckOptions:
    """What a good row is."""

    labels: str | None
    """The characters that a transcript may hold; None allows all."""
    lower_case: bool = True
    strip_punctuation: bool = True
    fold_accents: bool = False
    decode: bool = True
    """Decode every file; otherwise believe the headers."""
    ctc_frame_ms: float = 20.0
    """A transcript with more labels (and blanks between equal neighbours) than its recording has such frames is too
    long for CTC. 0 allows any."""


@dataclass(frozen=True)
class Utterance:
    """A row that passed."""

    row: Row
    text: str
    """Normalised."""
    audio: AudioInfo

    @property
    def duration_s(self) -> float:
        return self.audio.samples / self.audio.sample_rate_hz


def check_rows(rows: Iterable[Row | Rejected], options: CheckOptions, jobs: int = 1) -> Iterator[Utterance | Rejected]:
    """Check every row, in order; ``jobs`` of them at a time. An id may be used once in a split."""
    seen: dict[tuple[str, str], str] = {}

    def check(row: Row | Rejected, first: str | None) -> Utterance | Rejected:
        if isinstance(row, Rejected):
            return row
        if first is not None:
            return Rejected(row.where, "duplicate id", f"{row.id!r} is {first} already", row.id)
        return check_row(row, options)

    def arguments() -> Iterator[tuple[Row | Rejected, str | None]]:
        for row in rows:
            key = (row.split, row.id) if isinstance(row, Row) else ("", "")
            yield row, seen.get(key)
            if isinstance(row, Row):
                seen.setdefault(key, row.where)

    yield from _in_order(lambda pair: check(*pair), arguments(), jobs)


def _in_order(work: Callable[[Any], Any], items: Iterable[Any], jobs: int) -> Iterator[Any]:
    if jobs <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(jobs) as pool:  # libsndfile decodes outside the interpreter's lock
        yield from pool.map(work, items)


def check_row(row: Row, options: CheckOptions) -> Utterance | Rejected:
    """Check one row."""
    text = normalise_text(
        row.text,
        lower_case=options.lower_case,
        strip_punctuation=options.strip_punctuation,
        fold_accents=options.fold_accents,
        keep=(options.labels or "") + "'",
    )
    if not text:
        return Rejected(row.where, "empty transcript", repr(row.text), row.id)
    unknown = sorted(set(text) - set(options.labels)) if options.labels is not None else []
    if unknown:
        return Rejected(row.where, "unknown characters", f"{' '.join(map(repr, unknown))} in {text!r}", row.id)
    try:
        audio = _inspect(row, options.decode)
    except UserError as error:
        missing = not row.audio.exists() and row.cut is None
        return Rejected(row.where, "missing audio" if missing else "unreadable audio", str(error), row.id)
    utterance = Utterance(row, text, audio)
    if options.ctc_frame_ms:
        needed = len(text) + sum(a == b for a, b in pairwise(text))
        frames = int(utterance.duration_s * 1000 / options.ctc_frame_ms)
        if needed > frames:
            detail = f"{needed} labels and blanks in {frames} frames of {options.ctc_frame_ms:g} ms: {text!r}"
            return Rejected(row.where, "too long for CTC", detail, row.id)
    return utterance


def _inspect(row: Row, decode: bool) -> AudioInfo:
    if row.cut is None:
        return inspect_audio(Path(row.audio), decode)
    if row.audio.is_file():
        inspect_audio(row.audio, decode=False)  # a recipe takes what there is of a truncated file for the whole
    rate = int(row.cut["recording"]["sampling_rate"])
    channels = 1 if isinstance(row.cut["channel"], int) else len(row.cut["channel"])
    samples = len(read_cut(row.cut, rate)) if decode else round(row.cut["duration"] * rate)
    return AudioInfo(samples, rate, channels)
