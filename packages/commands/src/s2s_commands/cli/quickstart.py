"""From nothing to labels: makes spoken commands, trains on them, tests and classifies, and shows what it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.quickstart import best_of, prepare_fit_test

SHOWN = 10
"""Recordings that are classified before the reader's eyes."""


def main(argv: Sequence[str]) -> int:
    """Run the whole path once; returns the exit status."""
    parser = VerbParser(prog="lightning run commands quickstart", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/commands-quickstart"), help="folder (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the speech and of the training (default: %(default)s)")
    options, overrides = parser.parse_known_args(argv)
    from s2s_commands.cli import COMMANDS

    run = prepare_fit_test(COMMANDS, options.output, options.seed, ["synthetic", f"--seed={options.seed}"], overrides)
    _show(best_of(run), options.output / "data" / "audio" / "test")
    print(f"\nyours next: lightning run commands classify --checkpoint {best_of(run)} FILE_OR_FOLDER")
    return 0


def _show(checkpoint: Path, spoken: Path) -> None:
    import torch

    from s2s_commands.classify_sound import CommandClassifier
    from s2s_commands.sources import find_sounds
    from s2s_core.data.audio_files import read_audio

    classifier = CommandClassifier.load(checkpoint)
    files = [source.name for source in find_sounds([str(spoken)])]
    chosen = files[:: max(1, len(files) // SHOWN)][:SHOWN]
    print(f"\n{len(chosen)} recordings of the test set, classified from Python with s2s_commands.CommandClassifier:")
    for result in classifier.classify(chosen):
        word = Path(result.id).parent.name
        print(f"  said {word:<6} heard {result.label:<6} {result.probability:.3f}  {result.id}")
    gap = torch.zeros(classifier.sample_rate_hz)
    stream = torch.cat([x for name in chosen for x in (gap, read_audio(name, classifier.sample_rate_hz)[0])] + [gap])
    spotter = classifier.spotter()
    heard = [*spotter.feed(stream), *spotter.finish()]
    print(f"\nthe same in one stream of {len(stream) / classifier.sample_rate_hz:.1f} s, a second of silence between:")
    for found in heard:
        print(f"  {found.start_s:5.1f} to {found.end_s:5.1f} s  {found.label:<6} {found.probability:.3f}")
