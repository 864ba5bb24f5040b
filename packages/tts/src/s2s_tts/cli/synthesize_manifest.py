"""``lightning run tts synthesize --manifest``: transcripts to synthetic speech that recognition trains on."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2s_core.cli.arguments import VerbParser, count
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_tts.synthetic.engines import Engine

LISTED = 20
"""Lines that failed which are named; the rest are counted."""
_REPORT_EVERY_S = 5.0

EPILOG = """\
FILE holds Lhotse cuts or supervisions (.jsonl, .jsonl.gz), or is a CSV or TSV with a column transcript or text. Each
line is spoken by a speaker, in a style and at a speed drawn at random from the seed and the line's place, the same for
any number of workers. OUTPUT gets audio/ and synthetic.jsonl.gz, Lhotse cuts with the transcripts as they were. A run
that was killed goes on when the command is given again; lines that failed are named, tried again then, and make the
exit status 1.

Recognition trains on it beside real speech, here half of each:
  lightning run asr fit ... --data.train='[real.jsonl.gz, OUTPUT/synthetic.jsonl.gz]' \\
      --data.details.train_weights='[1, 1]'
"""


def parser() -> VerbParser:
    """What the verb takes with ``--manifest``."""
    made = VerbParser(
        prog="lightning run tts synthesize --manifest",
        description="Transcripts to synthetic speech, with random speakers, styles and speeds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--manifest", type=Path, required=True, metavar="FILE", help="whose transcripts are spoken")
    add("--output", type=Path, required=True, metavar="FOLDER", help="gets audio/ and synthetic.jsonl.gz")
    add("--checkpoint", type=Path, metavar="PATH", help="a model as `fit` wrote it; without one, eSpeak NG speaks")
    add("--vocoder", metavar="NAME", help="griffin-lim, or a vocoder's checkpoint (default: the checkpoint's own)")
    add("--speakers", nargs="+", metavar="NAME", help="the model's (default: all), or timbres of eSpeak NG")
    add("--styles", nargs="+", type=Path, metavar="FILE", help="recordings, for a model that imitates styles")
    add("--accents", nargs="+", metavar="NAME", help="eSpeak NG's voices (default: American and British)")
    add("--speeds", nargs=2, type=float, metavar=("LOW", "HIGH"), default=(0.8, 1.2), help="(default: 0.8 1.2)")
    add("--limit", type=count, metavar="N", help="speak the first N lines only")
    add("--sample-rate-hz", type=count, default=16000, metavar="N", help="(default: %(default)s)")
    add("--audio-format", choices=["wav", "flac"], default="wav", help="(default: %(default)s)")
    add("--workers", type=count, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)")
    add("--seed", type=int, default=0, metavar="N", help="of speakers, styles and speeds (default: %(default)s)")
    return made


def main(argv: Sequence[str]) -> int:
    """Speak a manifest; returns the exit status."""
    if {"-h", "--help"} & set(argv):  # before --manifest asks for its file
        parser().print_help()
        return 0
    from s2s_tts.synthetic.journal import Journal
    from s2s_tts.synthetic.run import Writing, speak_lines, write_manifest
    from s2s_tts.synthetic.transcripts import read_transcripts

    options = parser().parse_args(argv)
    engine = _engine(options)
    engine.check()
    lines = read_transcripts(options.manifest)[: options.limit]
    writing = Writing(options.output.resolve(), options.sample_rate_hz, options.audio_format, options.seed)
    journal = Journal(options.output, _settings(options))
    before = sum("samples" in result for result in journal.results.values())
    if before:
        print(f"going on: {before} of {len(lines)} lines are spoken", file=sys.stderr)
    progress = Progress(len(lines), before, options.sample_rate_hz)
    speak_lines(lines, engine, writing, journal, options.workers, progress.told)
    path = write_manifest(lines, journal, writing)
    return _conclude(path, [journal.results[line.place] for line in lines], options.sample_rate_hz)


def _engine(options: argparse.Namespace) -> Engine:
    from s2s_tts.synthetic.engines import CheckpointEngine, EspeakEngine

    of_models, of_espeak = ("speakers", "styles", "vocoder"), ("speakers", "accents")
    taken, refused = (of_espeak, of_models) if options.checkpoint is None else (of_models, of_espeak)
    for name in refused:
        if name not in taken and getattr(options, name) is not None:
            raise UserError(f"--{name}: only {'a model takes' if name in of_models else 'eSpeak NG takes'} it")
    chosen = {name: getattr(options, name) for name in taken if getattr(options, name)}
    speeds = tuple(options.speeds)
    if options.checkpoint is None:
        return EspeakEngine(**chosen, speeds=speeds)
    return CheckpointEngine(options.checkpoint, **chosen, speeds=speeds)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """What decides each line's sound."""
    try:
        content = options.manifest.read_bytes()
    except OSError as error:
        raise UserError(f"--manifest {options.manifest}: {error.strerror}") from None
    named = ("speakers", "accents", "vocoder", "speeds", "sample_rate_hz", "audio_format", "seed")
    return {
        "manifest": hashlib.sha256(content).hexdigest()[:16],
        "checkpoint": None if options.checkpoint is None else str(options.checkpoint.resolve()),
        "styles": [str(path.resolve()) for path in options.styles or []],
        **{name: getattr(options, name) for name in named},
    }


class Progress:
    """Lines done, how fast, and the time left, on standard error."""

    def __init__(self, total: int, done: int, sample_rate_hz: int) -> None:
        self._total, self._done, self._rate_hz = total, done, sample_rate_hz
        self._new, self._spoken_s = 0, 0.0
        self._began = self._reported = time.monotonic()

    def told(self, result: dict[str, Any]) -> None:
        """Count a result; say so now and then."""
        self._new += 1
        self._spoken_s += result.get("samples", 0) / self._rate_hz
        now = time.monotonic()
        if now - self._reported < _REPORT_EVERY_S:
            return
        self._reported = now
        rate = self._new / (now - self._began)
        left_s = (self._total - self._done - self._new) / rate
        speed = self._spoken_s / (now - self._began)
        counts = f"{self._done + self._new} of {self._total} lines"
        print(
            f"{counts}, {rate:.1f} a second, {speed:.0f}x real time, {left_s:.0f} s left", file=sys.stderr, flush=True
        )


def _conclude(path: Path, results: list[dict[str, Any]], sample_rate_hz: int) -> int:
    failed = [result["error"] for result in results if "error" in result]
    minutes = sum(result.get("samples", 0) for result in results) / sample_rate_hz / 60
    print(f"{path}: {len(results) - len(failed)} of {len(results)} lines, {minutes:.1f} minutes")
    if not failed:
        return 0
    print("failed:", file=sys.stderr)
    for line in failed[:LISTED]:
        print(f"  {line}", file=sys.stderr)
    if len(failed) > LISTED:
        print(f"  and {len(failed) - LISTED} more", file=sys.stderr)
    return 1
