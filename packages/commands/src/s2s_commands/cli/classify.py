"""``lightning run commands classify``: recordings, or a live stream, to labels; one result a line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from s2s_commands.answer_row import answer_row
from s2s_commands.cli.answers import write_answers
from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device
from s2s_core.cli.output import output_file
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_commands.classify_sound import Classification, CommandClassifier
    from s2s_commands.sources import SoundSource
    from s2s_commands.spotting import Detection

STANDARD_INPUT = "-"

EPILOG = """\
FILES are recordings of any sample rate and channel count (WAV, FLAC, Ogg, Opus, MP3), folders that are searched for
them, quoted patterns, or manifests (.jsonl.gz) whose labels give the accuracy at the end.

- listens to a stream on standard input, WAV or bare 16-bit samples, and prints each keyword as it is heard:
    arecord -q -f S16_LE -r 16000 -t raw | lightning run commands classify --checkpoint best.ckpt -
--stream listens to FILES in the same way.

formats: text  NAME<TAB>LABEL<TAB>PROBABILITY; of a stream START<TAB>END<TAB>LABEL<TAB>PROBABILITY, in seconds
         json  an object a line: path, label, probability, probabilities, duration_s; of a stream label, probability,
               start_s, end_s

A recording that cannot be read is named on standard error, the others go on, and the exit status is 1.
"""


def main(argv: Sequence[str]) -> int:
    """Classify what the arguments name; returns the exit status."""
    options = _parser().parse_args(argv)
    streams = options.stream or STANDARD_INPUT in options.files
    if STANDARD_INPUT in options.files and len(options.files) > 1:
        raise UserError("- stands alone: standard input is listened to until it ends")
    if options.hop_s > options.window_s:
        raise UserError(f"--hop-s is {options.hop_s:g}, expected at most --window-s ({options.window_s:g})")
    output = None if options.output is None else output_file("--output", options.output)
    from s2s_commands.classify_sound import CommandClassifier  # torch takes seconds to import, --help should not
    from s2s_commands.sources import SoundSource, find_sounds

    classifier = CommandClassifier.load(options.checkpoint, chosen_device(options.device), options.precision)
    sources = [SoundSource(STANDARD_INPUT)] if streams and options.files == ["-"] else find_sounds(options.files)
    with ExitStack() as stack:
        file = stack.enter_context(output.open("w", encoding="utf-8")) if output else sys.stdout
        if streams:
            return _listen(classifier, sources, options, file)
        answers = _results(classifier, sources, options.batch_size)
        return write_answers(answers, "recording", partial(_line, form=options.format), file)


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run commands classify",
        description="Recordings, or a live stream, to labels with a trained checkpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILES", help="what to classify, see below")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--format", choices=["text", "json"], default="text", help="of the results (default: %(default)s)")
    add("--output", metavar="FILE", help="where to write them (default: standard output)")
    add_device(parser)
    add_precision(parser)
    add("--batch-size", type=_above_0(int), default=64, metavar="N", help="recordings at once (default: %(default)s)")
    stream = parser.add_argument_group("streams")
    add = stream.add_argument
    seconds = _above_0(float)
    add("--stream", action="store_true", help="look for keywords along each recording")
    add("--rate", type=_above_0(int), metavar="HZ", help="of bare samples (default: the model's)")
    add("--window-s", type=seconds, default=1.0, metavar="S", help="what is classified at once (default: %(default)g)")
    add("--hop-s", type=seconds, default=0.1, metavar="S", help="between windows (default: %(default)g)")
    add("--smooth-s", type=_not_negative, default=0.3, metavar="S", help="averaged over so long (default: %(default)g)")
    add("--threshold", type=_probability, default=0.7, metavar="P", help="of a keyword (default: %(default)g)")
    add("--quiet-s", type=_not_negative, default=1.0, metavar="S", help="after a keyword (default: %(default)g)")
    add("--floor-db", type=float, default=-50.0, metavar="DB", help="softer is silence (default: %(default)g)")
    add("--ignore", default="silence,unknown", metavar="A,B", help="classes never heard (default: %(default)s)")
    return parser


def _above_0(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = 0
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
        return number

    return parse


def _not_negative(text: str) -> float:
    return 0.0 if text in ("0", "0.0") else _above_0(float)(text)


def _probability(text: str) -> float:
    number = _above_0(float)(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f"expected a probability up to 1, got {text!r}")
    return number


def _results(
    classifier: CommandClassifier, sources: list[SoundSource], batch_size: int
) -> Iterator[tuple[SoundSource, Classification | UserError]]:
    for first in range(0, len(sources), batch_size):
        batch = sources[first : first + batch_size]
        read = [_read(source, classifier.sample_rate_hz) for source in batch]
        results = classifier.classify_each([x for x in read if not isinstance(x, UserError)], batch_size)
        for source, sound in zip(batch, read, strict=True):
            yield source, sound if isinstance(sound, UserError) else next(results)


def _read(source: SoundSource, sample_rate_hz: int):  # noqa: ANN202 - a path, samples, or what is wrong with them
    try:
        return source.read(sample_rate_hz)
    except UserError as error:
        return error


def _line(source: SoundSource, result: Classification, form: str) -> str:
    if form == "text":
        return f"{source.name}\t{result.label}\t{result.probability:.4f}"
    row: dict[str, object] = {"path": source.name, **answer_row(result), "duration_s": result.duration_s}
    if source.label is not None:
        row["reference"] = source.label
    return json.dumps(row, ensure_ascii=False)


def _listen(
    classifier: CommandClassifier, sources: list[SoundSource], options: argparse.Namespace, output: TextIO
) -> int:
    from s2s_commands.spotting import Spotting

    settings = Spotting(
        window_s=options.window_s,
        hop_s=options.hop_s,
        smooth_s=options.smooth_s,
        threshold=options.threshold,
        quiet_s=options.quiet_s,
        floor_db=options.floor_db,
        ignored=tuple(name.strip() for name in options.ignore.split(",") if name.strip()),
    )
    failures = 0
    for source in sources:
        several = source.name if len(sources) > 1 else None
        try:
            spotter = classifier.spotter(settings)
            for piece in _pieces(source, classifier.sample_rate_hz, options.rate):
                for detection in spotter.feed(piece):
                    print(_heard(detection, several, options.format), file=output, flush=True)
            for detection in spotter.finish():
                print(_heard(detection, several, options.format), file=output, flush=True)
        except UserError as error:
            if len(sources) == 1:
                raise
            failures += 1
            print(f"error: {error}", file=sys.stderr)
    return 1 if failures else 0


def _pieces(source: SoundSource, sample_rate_hz: int, raw_rate_hz: int | None):  # noqa: ANN202 - pieces of samples
    from s2s_core.data.audio_files import read_audio, resampled
    from s2s_core.data.audio_stream import open_stream

    if source.name == STANDARD_INPUT:
        pieces, rate = open_stream(sys.stdin.buffer, raw_rate_hz or sample_rate_hz)
        return resampled(pieces, rate, sample_rate_hz)
    sound = source.read(sample_rate_hz)
    return iter([read_audio(sound, sample_rate_hz)[0] if isinstance(sound, str) else sound])


def _heard(detection: Detection, name: str | None, form: str) -> str:
    if form == "text":
        times = f"{detection.start_s:.2f}\t{detection.end_s:.2f}\t{detection.label}\t{detection.probability:.4f}"
        return times if name is None else f"{name}\t{times}"
    row = {
        **({} if name is None else {"path": name}),
        "label": detection.label,
        "probability": round(detection.probability, 6),
        "start_s": round(detection.start_s, 3),
        "end_s": round(detection.end_s, 3),
    }
    return json.dumps(row, ensure_ascii=False)
