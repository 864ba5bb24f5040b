"""``lightning run asr align``: recordings and their texts to the times of words and labels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_asr.cli.options import positive
from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_asr.align import Alignment, Spoken
    from s2s_asr.sources import NamedSource

EPILOG = """\
FILES are manifests with transcripts (.csv with columns wav_filename and transcript, .jsonl.gz of cuts, a Shar folder),
or recordings and folders of them with each text in a file of the same name that ends in .txt or .lab; --text gives the
text of a single recording.

formats: ctm       NAME 1 START DURATION WORD CONFIDENCE, for --level words or labels
         json      an object a line: path, text, duration_s, log_probability, words and labels with times, confidence
         textgrid  NAME.TextGrid for Praat in the folder --output, with a tier of words and one of labels

A text that cannot be aligned (unknown characters, too long for its audio) is named on standard error with its file and
row, the others go on, and the exit status is 1.
"""
SIDES = (".txt", ".lab")


def main(argv: Sequence[str]) -> int:
    """Align what the arguments name; returns the exit status."""
    options = _parser().parse_args(argv)
    if options.format == "textgrid" and options.output is None:
        raise UserError("--format textgrid writes a file a recording: --output FOLDER is missing")
    from s2s_asr.align import Aligner  # torch takes seconds to import, --help should not
    from s2s_asr.sources import find_sources
    from s2s_asr.transcribe import Transcriber

    transcriber = Transcriber.load(options.checkpoint, chosen_device(options.device), options.precision)
    aligner = Aligner(transcriber)
    sources = find_sources(options.files, transcriber.sample_rate_hz)
    if options.text is not None and len(sources) > 1:
        raise UserError(f"--text is for one recording, here are {len(sources)}")
    spoken, failures = _with_texts(sources, options.text)
    results = aligner.align_each([row for _, row in spoken], options.batch_seconds)
    with _Output(options.format, options.level, options.output) as output:
        for (source, row), result in zip(spoken, results, strict=True):
            if isinstance(result, UserError):
                failures.append(result)
                print(f"error: {result}", file=sys.stderr)
            else:
                output.write(source.name, row.text, result)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run asr align",
        description="Recordings and their texts to the times of words and labels.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILES", help="what to align, see below")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--text", help="what was said in the one recording")
    add("--format", choices=["ctm", "json", "textgrid"], default="ctm", help="(default: %(default)s)")
    add("--level", choices=["words", "labels"], default="words", help="of CTM (default: %(default)s)")
    add("--output", type=Path, metavar="PATH", help="a file, of textgrid a folder (default: standard output)")
    add_device(parser)
    add_precision(parser)
    add("--batch-seconds", type=positive, default=120.0, metavar="S", help="audio at once (default: %(default)g)")
    return parser


def _with_texts(
    sources: list[NamedSource], text: str | None
) -> tuple[list[tuple[NamedSource, Spoken]], list[UserError]]:
    """The sources that have a text, and an error, already told, for each that has none."""
    from s2s_asr.align import Spoken

    found, failures = [], []
    for source in sources:
        try:
            said = text if text is not None else _text_of(source)
        except UserError as error:
            failures.append(error)
            print(f"error: {error}", file=sys.stderr)
            continue
        found.append((source, Spoken(source.audio, said, source.where or source.name)))
    return found, failures


def _text_of(source: NamedSource) -> str:
    if source.reference is not None:
        return source.reference
    if source.where:
        raise UserError(f"{source.where}: the text is empty")
    beside = [Path(source.name).with_suffix(suffix) for suffix in SIDES]
    for path in beside:
        if path.is_file():
            try:
                return " ".join(path.read_text(encoding="utf-8-sig").split())
            except UnicodeDecodeError:
                raise UserError(f"{path}: not UTF-8") from None
    raise UserError(f"{source.name}: no text; expected --text, a manifest, or {' or '.join(map(str, beside))}")


class _Output:
    """Where alignments go: lines to a file or standard output, or a TextGrid each."""

    def __init__(self, form: str, level: str, path: Path | None) -> None:
        self._form, self._level, self._path = form, level, path
        try:
            if form == "textgrid" and path is not None:
                path.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8") if path is not None and form != "textgrid" else sys.stdout
        except OSError as error:
            raise UserError(f"--output {path}: {error.strerror}") from None
        self._names: set[str] = set()

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not sys.stdout:
            self._file.close()

    def write(self, name: str, text: str, alignment: Alignment) -> None:
        from s2s_asr.alignment_files import ctm_lines, json_line, text_grid

        if self._form == "textgrid":
            assert self._path is not None
            (self._path / f"{self._free(name)}.TextGrid").write_text(text_grid(alignment), encoding="utf-8")
            return
        lines = [json_line(name, text, alignment)]
        if self._form == "ctm":
            lines = ctm_lines(name, alignment, "labels" if self._level == "labels" else "words")
        for line in lines:
            print(line, file=self._file, flush=True)

    def _free(self, name: str) -> str:
        """The recording's stem; with its folders, or a number, where two are called alike."""
        path = Path(name)
        candidates = [path.stem, "_".join(path.with_suffix("").parts).strip("/_")]
        stem = next((stem for stem in candidates if stem not in self._names), f"{path.stem}-{len(self._names)}")
        self._names.add(stem)
        return stem
