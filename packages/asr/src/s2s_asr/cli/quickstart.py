"""From nothing to a transcript: makes speech, trains on it, tests and transcribes, and shows the commands it runs."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser
from s2s_core.errors import UserError

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
    corpus = options.output / "data"
    run = _free_folder(options.output)
    if not (corpus / "train.jsonl.gz").is_file():
        _lightning("prepare", "synthetic", f"--output={corpus}", f"--seed={options.seed}", "--overwrite")
    manifests = [f"--data.{split}={corpus / f'{split}.jsonl.gz'}" for split in ("train", "validation", "test")]
    seed = f"--seed_everything={options.seed}"
    began = time.monotonic()
    _lightning("fit", "--config", "quickstart", *manifests, f"--output={run}", seed, *overrides)
    trained_s = time.monotonic() - began
    checkpoint = run / "checkpoints" / "best.ckpt"
    _lightning("test", f"--ckpt_path={checkpoint}")
    print(f"trained in {trained_s:.0f} s")
    _show_transcripts(checkpoint, corpus / "test.jsonl.gz")
    print(f"\nyours next: lightning run asr transcribe --checkpoint {checkpoint} FILE_OR_FOLDER")
    return 0


def _free_folder(output: Path) -> Path:
    number = 1
    while (output / f"run{number}").exists():
        number += 1
    return output / f"run{number}"


def _lightning(*arguments: str) -> None:
    from s2s_asr.cli import TASK
    from s2s_core.cli.main import run_task

    print(f"\n$ lightning run asr {shlex.join(arguments)}", flush=True)
    status = run_task(TASK, list(arguments), "lightning run asr")
    if status:
        raise UserError(f"the command above ended with status {status}")


def _show_transcripts(checkpoint: Path, manifest: Path) -> None:
    from s2s_asr.metrics import ErrorRate
    from s2s_asr.sources import find_sources
    from s2s_asr.transcribe import Transcriber

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
