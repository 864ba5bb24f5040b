"""From nothing to labels: trains on scikit-learn's handwritten digits, tests and classifies, and shows what it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.quickstart import best_of, prepare_fit_test

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
    from s2s_commands.cli import IMAGES

    run = prepare_fit_test(IMAGES, options.output, options.seed, ["digits"], overrides)
    _show(best_of(run), options.output / "data" / "test.jsonl.gz")
    print(f"\nyours next: lightning run images classify --checkpoint {best_of(run)} FILE_OR_FOLDER")
    return 0


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
