"""``lightning run asr stream``: audio that is still going on to partial and final words."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_asr.cli.options import not_negative, positive
from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device

if TYPE_CHECKING:
    from torch import Tensor

    from s2s_asr.streaming import StreamResult

EPILOG = """\
FILE is a recording of any format and rate, or - for standard input: WAV (16 or 32 bits, or float) or bare 16-bit
little-endian samples of one channel at --raw-rate. It is heard chunk by chunk, in constant memory.

formats: text  START END TEXT, in seconds; what is not final begins with ~ and, on a terminal, is written over
         json  an object a line: type (partial or final), text, start_s, end_s, heard_s, words with times, confidence

modes:   exact     the words of the whole recording, from a model of convolutions or recurrent layers of one direction
         buffered  any model, over windows of --left-s, a chunk and --right-s
         auto      exact where the model allows it and waits for no more than --right-s

A model whose features are normalised by the whole recording is given the mean and deviation of what has been heard, of
--warm-up-s at first. --silence-s without a word makes the words so far final. Ctrl-C makes them final and ends.
"""
INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Stream what the arguments name; returns the exit status."""
    options = _parser().parse_args(argv)
    from s2s_asr.streaming import StreamingTranscriber, StreamOptions  # torch takes seconds to import
    from s2s_asr.transcribe import Transcriber

    transcriber = Transcriber.load(options.checkpoint, chosen_device(options.device), options.precision)
    stream = StreamingTranscriber(
        transcriber,
        StreamOptions(
            chunk_s=options.chunk_s,
            mode=options.mode,
            left_s=options.left_s,
            right_s=options.right_s,
            silence_s=options.silence_s or None,
            warm_up_s=options.warm_up_s,
        ),
    )
    kind = "exact" if stream.exact else "buffered"
    ahead = f"a chunk of {options.chunk_s:g} s and {stream.lookahead_s:.2f} s ahead"
    print(f"{kind}: latency {stream.latency_s:.2f} s ({ahead})", file=sys.stderr)
    write = _Writer(options.format, options.partials)
    try:
        for block in _blocks(options.file, options.raw_rate, transcriber.sample_rate_hz):
            write(stream.push(block))
    except KeyboardInterrupt:
        write(stream.finish())
        return INTERRUPTED
    write(stream.finish())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run asr stream",
        description="Audio that is still going on to partial and final words with their times.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", nargs="?", default="-", metavar="FILE", help="what to hear (default: standard input)")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--format", choices=["text", "json"], default="text", help="of the results (default: %(default)s)")
    add("--no-partials", dest="partials", action="store_false", help="print final words only")
    add("--mode", choices=["auto", "exact", "buffered"], default="auto", help="see below (default: %(default)s)")
    add("--chunk-s", type=positive, default=0.32, metavar="S", help="recognised at once (default: %(default)g)")
    add("--left-s", type=not_negative, default=6.0, metavar="S", help="buffered: seen before (default: %(default)g)")
    add("--right-s", type=not_negative, default=1.0, metavar="S", help="buffered: waited for (default: %(default)g)")
    add("--silence-s", type=not_negative, default=0.8, metavar="S", help="ends a segment, 0: never (%(default)g)")
    add("--warm-up-s", type=not_negative, default=1.0, metavar="S", help="heard before the first (%(default)g)")
    add("--raw-rate", type=int, default=16000, metavar="HZ", help="of bare samples (default: %(default)d)")
    add_device(parser)
    add_precision(parser)
    return parser


def _blocks(file: str, raw_rate_hz: int, sample_rate_hz: int) -> Iterator[Tensor]:
    from s2s_asr.audio_input import STANDARD_INPUT, open_recording
    from s2s_core.data.audio_files import resampled
    from s2s_core.data.audio_stream import open_stream

    if file != STANDARD_INPUT:
        return open_recording(file).blocks(sample_rate_hz)
    pieces, rate_hz = open_stream(sys.stdin.buffer, raw_rate_hz)
    return resampled(pieces, rate_hz, sample_rate_hz)


class _Writer:
    """Prints results as they come; on a terminal, a partial line gives way to the next."""

    def __init__(self, form: str, partials: bool) -> None:
        self._line_of = _json_line if form == "json" else _text_line
        self._partials = partials
        self._over = form == "text" and sys.stdout.isatty()

    def __call__(self, results: list[StreamResult]) -> None:
        for result in results:
            if not result.final and (not self._partials or not result.words):
                continue
            start, end = ("\r\033[K", "\n" if result.final else "") if self._over else ("", "\n")
            print(start + self._line_of(result), end=end, flush=True)


def _text_line(result: StreamResult) -> str:
    mark = "" if result.final else "~ "
    return f"{mark}{result.words[0].start_s:.2f} {result.words[-1].end_s:.2f} {result.text}"


def _json_line(result: StreamResult) -> str:
    row = {
        "type": "final" if result.final else "partial",
        "text": result.text,
        "start_s": result.words[0].start_s,
        "end_s": result.words[-1].end_s,
        "heard_s": result.heard_s,
        "words": [word.row() for word in result.words],
    }
    return json.dumps(row, ensure_ascii=False)
