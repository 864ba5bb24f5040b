"""Text, synthesis, recognition: the ASR quickstart trained on real, on synthetic and on both kinds of speech.

    python benchmarks/synthetic_loop.py                          # generated voices stand in for real speech
    S2S_DATA_DIR=... python benchmarks/synthetic_loop.py         # AN4, from S2S_DATA_DIR/an4
    python benchmarks/synthetic_loop.py --lines 200 --epochs 10

The synthetic speech says what the real training set says, by eSpeak NG in voices of its own; no voice of the test set
is among them. Epochs are alike in size; that of both kinds has half of each (``--shares``). Validation and test are
real. OpenSeq2Seq's table for LibriSpeech has 5.10, 49.80 and 4.66.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import os
import platform
import sys
import time
from pathlib import Path

from timing import print_table

from s2s_core.cli.main import main as lightning

HERE = Path(__file__).parent
STAND_IN_SPEAKERS = ("benjamin", "david", "john", "max", "miguel", "sandro")
"""Timbres that no split of the generated corpus has: as far from it as synthetic speech is from people."""


def run(*arguments: str) -> str:
    """A command as a user types it; returns what it prints."""
    print(f"\n$ lightning run {' '.join(arguments)}", flush=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = lightning(["run", *arguments])
    print(printed.getvalue(), end="", flush=True)
    if status:
        sys.exit(status)
    return printed.getvalue()


def shortened(manifest: Path, lines: int | None, target: Path) -> Path:
    """The first lines of a manifest."""
    if lines is None:
        return manifest
    with gzip.open(manifest, "rt") as source, gzip.open(target, "wt") as copy:
        copy.writelines(line for number, line in enumerate(source) if number < lines)
    return target


def trained(
    name: str, train: list[Path], mixture: list[str], splits: dict[str, Path], options: argparse.Namespace
) -> dict:
    """Train on manifests; return the word error rate of the real test set."""
    began = time.monotonic()
    folder = options.output / f"trained-on-{name.replace(' ', '-')}"
    manifests = f"--data.train=[{', '.join(str(path) for path in train)}]"
    held_out = [f"--data.{split}={path}" for split, path in splits.items()]
    common = [f"--output={folder}", f"--trainer.max_epochs={options.epochs}", *mixture, *options.overrides]
    run("asr", "fit", "--config", "quickstart", manifests, *held_out, *common)
    printed = run("asr", "test", f"--ckpt_path={folder / 'checkpoints' / 'best.ckpt'}")
    metrics = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    return {"trained on": name, "WER": round(metrics["test/wer"], 4), "seconds": round(time.monotonic() - began)}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/synthetic-loop"))
    parser.add_argument("--lines", type=int, help="train on the first so many utterances only")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--shares", nargs=2, type=float, default=[1, 1], help="of real and synthetic speech in both")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options, options.overrides = parser.parse_known_args(argv)
    options.output.mkdir(parents=True, exist_ok=True)
    data = os.environ.get("S2S_DATA_DIR")
    an4 = Path(data) / "an4" if data else None
    corpus = options.output / "real"
    real_speech = an4 is not None and an4.is_dir()
    if not (corpus / "train.jsonl.gz").is_file():
        source = ["an4", f"--input={an4}"] if real_speech else ["synthetic", "--seed=1"]
        run("asr", "prepare", *source, f"--output={corpus}")
    splits = {split: corpus / f"{split}.jsonl.gz" for split in ("validation", "test")}
    real = shortened(corpus / "train.jsonl.gz", options.lines, options.output / "real.jsonl.gz")
    folder = options.output / "synthetic"
    speakers = [] if real_speech else ["--speakers", *STAND_IN_SPEAKERS]
    run("tts", "synthesize", f"--manifest={real}", f"--output={folder}", f"--workers={options.workers}", *speakers)
    synthetic = folder / "synthetic.jsonl.gz"
    with gzip.open(real, "rt") as lines:
        count = sum(1 for _ in lines)
    mixture = [f"--data.details.train_weights={options.shares}", f"--data.details.epoch_utterances={count}"]
    real_share, synthetic_share = (round(100 * share / sum(options.shares)) for share in options.shares)
    rows = [
        trained("real", [real], [], splits, options),
        trained("synthetic", [synthetic], [], splits, options),
        trained(f"{real_share}-{synthetic_share} both", [real, synthetic], mixture, splits, options),
    ]
    print()
    print_table(rows, ["trained on", "WER", "seconds"])
    result = {"real speech": "AN4" if real_speech else "generated voices", "machine": platform.machine(), "rows": rows}
    (options.output / "result.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
