"""``lightning run asr transcribe``: recordings to text, one result a line, in the order they were named."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from s2s_asr.cli.fusion import add_fusion, fuse
from s2s_asr.cli.options import not_negative, positive
from s2s_asr.cli.search_options import add_search_options, search_settings
from s2s_asr.transcript_row import transcript_row
from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device
from s2s_core.cli.status_line import StatusLine, clock
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_asr.sources import NamedSource
    from s2s_asr.transcribe import Transcriber, Transcript

MOST_HEADERS = 2000

EPILOG = """\
FILES are recordings of any sample rate and channel count (WAV, FLAC, Ogg, Opus, MP3), folders that are searched for
them, quoted patterns, - for WAV on standard input, or manifests (.csv with a column wav_filename, .jsonl.gz of cuts,
a Shar folder). Where a manifest has transcripts, the word error rate is printed at the end.

formats: text  the text alone for one recording, NAME<TAB>TEXT for several
         json  an object a line: path, text, duration_s, words with start_s, end_s and confidence; after a search
               also nbest, the best first: text, score, its parts acoustic, lm and rescoring, and words
         csv   wav_filename,predicted_transcript

A recording that cannot be read is named on standard error, the others go on, and the exit status is 1.
"""


def main(argv: Sequence[str]) -> int:
    """Transcribe what the arguments name; returns the exit status."""
    options = _parser().parse_args(argv)
    if options.chunk_s and options.overlap_s >= options.chunk_s:
        raise UserError(f"--overlap-s is {options.overlap_s:g}, expected less than --chunk-s ({options.chunk_s:g})")
    from s2s_asr.sources import find_sources  # torch takes seconds to import, --help should not
    from s2s_asr.transcribe import Transcriber

    search = search_settings(options)
    device = chosen_device(options.device)
    with ExitStack() as stack:
        transcriber = Transcriber.load(options.checkpoint, device, options.precision, search, options.jobs)
        stack.callback(transcriber.close)
        fuse(transcriber, options)
        sources = find_sources(options.files, transcriber.sample_rate_hz)
        output = stack.enter_context(_opened(options.output)) if options.output else sys.stdout
        return _transcribe(transcriber, sources, options, output)


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run asr transcribe",
        description="Recordings to text with a trained checkpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILES", help="what to transcribe, see below")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--format", choices=list(FORMATS), default="text", help="of the results (default: %(default)s)")
    add("--output", type=Path, metavar="FILE", help="where to write them (default: standard output)")
    add_device(parser)
    add_precision(parser)
    add("--batch-seconds", type=positive, default=120.0, metavar="S", help="audio at once (default: %(default)g)")
    add("--chunk-s", type=not_negative, default=30.0, metavar="S", help="cut what is longer, 0: never (%(default)g)")
    add("--overlap-s", type=not_negative, default=4.0, metavar="S", help="chunks share this (default: %(default)g)")
    add_fusion(parser)
    add_search_options(parser)
    return parser


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"--output {path}: {error.strerror}") from None


def _transcribe(
    transcriber: Transcriber, sources: list[NamedSource], options: argparse.Namespace, output: TextIO
) -> int:
    progress = _Progress(sources)
    score = _Score(transcriber)
    results = transcriber.transcribe_each(
        [source.audio for source in sources],
        batch_seconds=options.batch_seconds,
        chunk_s=options.chunk_s or None,
        overlap_s=options.overlap_s,
        progress=progress.heard,
    )
    line_of = FORMATS[options.format]
    if options.format == "csv":
        output.write("wav_filename,predicted_transcript\n")
    for source, result in zip(sources, results, strict=True):
        progress.finished(failed=isinstance(result, UserError))
        if isinstance(result, UserError):
            print(f"error: {result}", file=sys.stderr)
            continue
        score.add(result.text, source.reference)
        output.write(line_of(source, result, len(sources) == 1) + "\n")
        output.flush()
    progress.close()
    print(f"{progress.summary()}{score.summary()}", file=sys.stderr)
    return 1 if progress.failures else 0


def _text_line(source: NamedSource, result: Transcript, only: bool) -> str:
    return result.text if only else f"{source.name}\t{result.text}"


def _json_line(source: NamedSource, result: Transcript, only: bool) -> str:
    row: dict[str, object] = {"path": source.name, **transcript_row(result)}
    if source.reference is not None:
        row["reference"] = source.reference
    return json.dumps(row, ensure_ascii=False)


def _csv_line(source: NamedSource, result: Transcript, only: bool) -> str:
    return ",".join(_csv_cell(cell) for cell in (source.name, result.text))


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\n\r') else text


FORMATS: dict[str, Callable[[NamedSource, Transcript, bool], str]] = {
    "text": _text_line,
    "json": _json_line,
    "csv": _csv_line,
}


class _Score:
    """The word error rate of the recordings whose transcripts are known."""

    def __init__(self, transcriber: Transcriber) -> None:
        from s2s_core.error_rate import ErrorRate

        self._normalise = transcriber.task.tokenizer.normalise
        self._rate = ErrorRate("word")
        self._count = 0

    def add(self, hypothesis: str, reference: str | None) -> None:
        if reference is not None:
            self._rate.update([hypothesis], [self._normalise(reference)])
            self._count += 1

    def summary(self) -> str:
        return f"; WER {float(self._rate.compute()):.2%} over {self._count} references" if self._count else ""


class _Progress:
    """A line on a terminal that says how far, how fast and how long still; and the counts for the summary."""

    def __init__(self, sources: list[NamedSource]) -> None:
        self.recordings = len(sources)
        self.failures = 0
        self._done = 0
        self._heard_s = 0.0
        self._line = StatusLine()
        self._total_s = _total_s(sources) if self._line.shown else 0.0

    def heard(self, seconds: float) -> None:
        self._heard_s += seconds
        self._show()

    def finished(self, failed: bool) -> None:
        self._done += 1
        self.failures += failed
        self.close()

    def _show(self) -> None:
        speed = self._heard_s / self._line.elapsed_s
        total = f" of {clock(self._total_s)}" if self._total_s else ""
        left = f", {clock(max(0.0, self._total_s - self._heard_s) / speed)} left" if self._total_s and speed else ""
        line = f"{self._done} of {self.recordings} done, {clock(self._heard_s)}{total} heard, {speed:.0f}x real time"
        self._line.show(f"{line}{left}")

    def close(self) -> None:
        self._line.clear()

    def summary(self) -> str:
        elapsed_s = self._line.elapsed_s
        failed = f", {self.failures} failed" if self.failures else ""
        factor = f"real-time factor {elapsed_s / self._heard_s:.4f}" if self._heard_s else "nothing heard"
        noun = "recording" if self.recordings == 1 else "recordings"
        return f"{self.recordings} {noun}{failed}, {self._heard_s:.1f} s of audio in {elapsed_s:.1f} s: {factor}"


def _total_s(sources: list[NamedSource]) -> float:
    """What the headers promise; 0 if it is not known, or would take long to find out."""
    from s2s_asr.audio_input import STANDARD_INPUT, Recording, open_recording

    if len(sources) > MOST_HEADERS or any(source.audio == STANDARD_INPUT for source in sources):
        return 0.0
    total_s = 0.0
    for source in sources:
        with suppress(UserError):  # named when its turn comes
            recording = source.audio if isinstance(source.audio, Recording) else open_recording(source.audio)
            total_s += recording.duration_s
    return total_s
