"""From nothing to labels: trains on scikit-learn's handwritten digits, tests and classifies, and shows what it runs."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.errors import UserError

SHOWN = 10
"""Pictures that are classified before the reader's eyes."""


def main(argv: Sequence[str]) -> int:
    """Run the whole path once; returns the exit status."""
    parser = VerbParser(prog="lightning run images quickstart", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/images-quickstart"), help="folder (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the training (default: %(default)s)")
    options, overrides = parser.parse_known_args(argv)
    corpus = options.output / "data"
    run = _free_folder(options.output)
    if not (corpus / "train.jsonl.gz").is_file():
        _lightning("prepare", "digits", f"--output={corpus}", "--overwrite")
    manifests = [f"--data.{split}={corpus / f'{split}.jsonl.gz'}" for split in ("train", "validation", "test")]
    seed = f"--seed_everything={options.seed}"
    began = time.monotonic()
    _lightning("fit", "--config", "quickstart", *manifests, f"--output={run}", seed, *overrides)
    trained_s = time.monotonic() - began
    checkpoint = run / "checkpoints" / "best.ckpt"
    _lightning("test", f"--ckpt_path={checkpoint}")
    print(f"trained in {trained_s:.0f} s")
    _show(checkpoint, corpus / "test.jsonl.gz")
    print(f"\nyours next: lightning run images classify --checkpoint {checkpoint} FILE_OR_FOLDER")
    return 0


def _free_folder(output: Path) -> Path:
    number = 1
    while (output / f"run{number}").exists():
        number += 1
    return output / f"run{number}"


def _lightning(*arguments: str) -> None:
    from s2s_commands.cli import IMAGES
    from s2s_core.cli.main import run_task

    print(f"\n$ lightning run images {shlex.join(arguments)}", flush=True)
    status = run_task(IMAGES, list(arguments), "lightning run images")
    if status:
        raise UserError(f"the command above ended with status {status}")


def _show(checkpoint: Path, manifest: Path) -> None:
    from s2s_commands.classify_image import ImageClassifier
    from s2s_commands.picture_sources import find_pictures

    pictures = find_pictures([str(manifest)])
    chosen = pictures[:: max(1, len(pictures) // SHOWN)][:SHOWN]
    print(f"\n{len(chosen)} digits of the test set, classified from Python with s2s_commands.ImageClassifier:")
    results = ImageClassifier.load(checkpoint).classify([picture.path for picture in chosen])
    for picture, result in zip(chosen, results, strict=True):
        second = list(result.probabilities.items())[1]
        print(
            f"  written {picture.label}  read {result.label} {result.probability:.3f}"
            f"  (next {second[0]} {second[1]:.3f})  {Path(result.id).name}"
        )
