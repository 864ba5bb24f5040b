"""``lightning run tts synthesize``: text to recordings, a file a text."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device, count
from s2s_core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from s2s_tts.espeak_synthesizer import EspeakSynthesizer
    from s2s_tts.synthesize import Speech, Synthesizer

STANDARD_INPUT = "-"
SUFFIXES = (".wav", ".flac")

EPILOG = """\
TEXTS are spoken as they stand; - and --file read one text a line, from standard input or a file. With --output
FILE.wav or FILE.flac all texts become one recording; with a folder each becomes FOLDER/00001.wav, and so on. Long
texts are split at sentences and joined. What the model cannot bring to an end is named on standard error, the others
go on, and the exit status is 1.

With --manifest FILE a whole manifest is spoken for recognition to train on: synthesize --manifest --help says how.

formats: text  FILE<TAB>TEXT
         json  an object a line: path, text, duration_s, sentences with start_s, end_s and attempts
"""


def main(argv: Sequence[str]) -> int:
    """Speak what the arguments name; returns the exit status."""
    if any(word.partition("=")[0] == "--manifest" for word in argv):
        from s2s_tts.cli import synthesize_manifest

        return synthesize_manifest.main(argv)
    options = _parser().parse_args(argv)
    texts = list(_texts(options))
    if not texts:
        raise UserError("nothing to say: give texts, --file FILE or - for standard input")
    one_file = options.output.suffix.lower() in SUFFIXES
    _check_output(options.output, one_file)
    return _speak(_synthesizer(options), texts, options, one_file)


def _synthesizer(options: argparse.Namespace) -> Synthesizer | EspeakSynthesizer:
    if options.engine == "espeak":
        from s2s_core.audio.espeak import EspeakVoice
        from s2s_tts.espeak_synthesizer import EspeakSynthesizer

        for name in ("checkpoint", "vocoder"):
            if getattr(options, name) is not None:
                raise UserError(f"--{name}: eSpeak NG takes none")
        rate_wpm = round(EspeakVoice.rate_wpm * options.speed)
        try:
            return EspeakSynthesizer(EspeakVoice(options.accent, rate_wpm=rate_wpm, pitch=options.pitch))
        except ValueError as error:
            raise UserError(f"--speed, --pitch: {error}") from None
    if options.checkpoint is None:
        raise UserError("--checkpoint: expected what `fit` wrote; --engine espeak speaks without any training")
    from s2s_tts.synthesize import Synthesizer  # torch takes seconds to import, --help should not

    vocoder = "checkpoint" if options.vocoder is None else options.vocoder
    return Synthesizer.load(options.checkpoint, chosen_device(options.device), vocoder, options.precision)


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run tts synthesize",
        description="Text to recordings with a trained checkpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("texts", nargs="*", metavar="TEXTS", help="what to say; - reads standard input, one text a line")
    add("--file", type=Path, metavar="FILE", help="read texts from a file, one a line")
    add("--checkpoint", type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--engine", choices=["model", "espeak"], default="model", help="espeak needs no checkpoint (%(default)s)")
    add("--output", type=Path, default=Path("speech.wav"), metavar="PATH", help="a file or folder (%(default)s)")
    add("--audio-format", choices=["wav", "flac"], default="wav", help="of files in a folder (default: %(default)s)")
    add("--speaker", metavar="NAME", help="whose voice, where the model knows several; a timbre of eSpeak NG")
    add("--accent", default="en-us", metavar="NAME", help="espeak: language or accent (default: %(default)s)")
    add("--speed", type=float, default=1.0, metavar="X", help="espeak: 1 is 170 words a minute (default: %(default)s)")
    add("--pitch", type=int, default=50, metavar="N", help="espeak: 0 to 99 (default: %(default)s)")
    add("--style-from", type=Path, metavar="FILE", help="a recording to be imitated, where the model takes styles")
    add("--vocoder", metavar="NAME", help="griffin-lim, or a vocoder's checkpoint (default: the checkpoint's own)")
    add("--seed", type=int, default=0, metavar="N", help="other seeds, other renderings (default: %(default)s)")
    add("--batch-size", type=count, default=16, metavar="N", help="sentences at once (default: %(default)s)")
    add("--format", choices=["text", "json"], default="text", help="of the lines printed (default: %(default)s)")
    add_device(parser)
    add_precision(parser)
    return parser


def _texts(options: argparse.Namespace) -> Iterator[str]:
    for text in options.texts:
        if text == STANDARD_INPUT:
            yield from _lines(sys.stdin.buffer.read(), "standard input")
        elif text.strip():
            yield text
        else:
            raise UserError("nothing to say in an empty text")
    if options.file is not None:
        try:
            content = options.file.read_bytes()
        except OSError as error:
            raise UserError(f"--file {options.file}: {error.strerror}") from None
        if not content.strip():
            raise UserError(f"--file {options.file}: the file is empty")
        yield from _lines(content, str(options.file))


def _lines(content: bytes, name: str) -> Iterator[str]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            text = line.decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            raise UserError(f"{name}:{number}: not UTF-8 ({error.reason} at byte {error.start})") from None
        if text:
            yield text


def _check_output(path: Path, one_file: bool) -> None:
    if one_file and not path.parent.is_dir():
        raise UserError(f"--output {path}: no folder '{path.parent}'")
    if one_file and path.is_dir():
        raise UserError(f"--output {path}: is a folder, expected a file")
    if not one_file:
        if path.suffix and not path.is_dir():
            raise UserError(f"--output {path}: expected a folder, or a file that ends in {' or '.join(SUFFIXES)}")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--output {path}: {error.strerror}") from None


def _speak(
    synthesizer: Synthesizer | EspeakSynthesizer, texts: list[str], options: argparse.Namespace, one_file: bool
) -> int:
    import numpy as np

    began, failures, spoken_s = time.monotonic(), 0, 0.0
    spoken: list[Speech] = []
    results = synthesizer.synthesize_each(texts, options.speaker, options.style_from, options.seed, options.batch_size)
    for number, result in enumerate(results, start=1):
        if isinstance(result, UserError):
            failures += 1
            print(f"error: text {number}: {result}", file=sys.stderr)
            continue
        spoken_s += result.duration_s
        path = options.output if one_file else options.output / f"{number:05d}.{options.audio_format}"
        if one_file:
            spoken.append(result)
        else:
            _write(path, result.audio, result.sample_rate_hz)
        print(_line(path, result, options.format), flush=True)
    if spoken:
        _write(options.output, np.concatenate([speech.audio for speech in spoken]), synthesizer.sample_rate_hz)
    elapsed_s = time.monotonic() - began
    failed = f", {failures} failed" if failures else ""
    noun = "text" if len(texts) == 1 else "texts"
    speed = f"{spoken_s / max(elapsed_s, 1e-9):.1f}x real time"
    print(f"{len(texts)} {noun}{failed}, {spoken_s:.1f} s of speech in {elapsed_s:.1f} s: {speed}", file=sys.stderr)
    return 1 if failures else 0


def _write(path: Path, audio: np.ndarray, sample_rate_hz: int) -> None:
    from s2s_tts.sound_files import write_audio

    try:
        write_audio(path, audio, sample_rate_hz)
    except UserError as error:
        raise UserError(f"--output {error}") from None


def _line(path: Path, speech: Speech, kind: str) -> str:
    if kind == "text":
        return f"{path}\t{speech.text}"
    sentences = [
        {"text": s.text, "start_s": s.start_s, "end_s": s.end_s, "attempts": s.attempts} for s in speech.sentences
    ]
    row = {"path": str(path), "text": speech.text, "duration_s": round(speech.duration_s, 3), "sentences": sentences}
    return json.dumps(row, ensure_ascii=False)
