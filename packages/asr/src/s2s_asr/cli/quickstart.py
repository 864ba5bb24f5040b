"""From nothing to a transcript: makes speech, trains on it, tests and transcribes, and shows the commands it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.quickstart import best_of, prepare_fit_test

if TYPE_CHECKING:
    from s2s_asr.transcribe import Transcript

SHOWN = 8
"""Recordings that are transcribed before the reader's eyes."""


def main(argv: Sequence[str]) -> int:
    """Run the whole path once; returns the exit status."""
    parser = VerbParser(prog="lightning run asr quickstart", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/quickstart"), help="folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the speech and of the training (default: %(default)s)")
    options, overrides = parser.parse_known_args(argv)
    from s2s_asr.cli import TASK

    run = prepare_fit_test(TASK, options.output, options.seed, ["synthetic", f"--seed={options.seed}"], overrides)
    _show_transcripts(best_of(run), options.output / "data" / "test.jsonl.gz")
    print(f"\nyours next: lightning run asr transcribe --checkpoint {best_of(run)} FILE_OR_FOLDER")
    return 0


def _show_transcripts(checkpoint: Path, manifest: Path) -> None:
    from s2s_asr.sources import find_sources
    from s2s_asr.transcribe import Transcriber
    from s2s_core.error_rate import ErrorRate

    transcriber = Transcriber.load(checkpoint)
    spoken = find_sources([str(manifest)], transcriber.task.features.sample_rate_hz)
    # evenly over the test set, so that several voices are heard
    chosen = spoken[:: max(1, len(spoken) // SHOWN)][:SHOWN]
    print(f"\n{len(chosen)} recordings of the test set, transcribed from Python with s2s_asr.Transcriber:")
    began = time.monotonic()
    results: list[Transcript] = transcriber.transcribe([source.audio for source in chosen])
    elapsed_s = time.monotonic() - began
    rate = ErrorRate("word")
    for source, result in zip(chosen, results, strict=True):
        rate.update([result.text], [source.reference or ""])
        print(f"  reference   {source.reference}\n  hypothesis  {result.text}")
    spoken_s = sum(result.duration_s for result in results)
    print(f"WER of these {len(chosen)}: {float(rate.compute()):.1%}; real-time factor {elapsed_s / spoken_s:.4f}")
