"""From nothing to speech: makes a corpus, trains on it, tests, speaks, and shows the commands it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.quickstart import best_of, prepare_fit_test
from s2s_core.errors import UserError

SENTENCES = (
    "please carry bottle number two into the kitchen",
    "call number one nine four",
    "a green lamp and a white ticket in the garden",
)
"""Spoken at the end; none is in the corpus that the default seed makes."""
DIAGONAL = 0.95


def main(argv: Sequence[str]) -> int:
    """Run the whole path once; returns the exit status."""
    parser = VerbParser(prog="lightning run tts quickstart", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/tts-quickstart"), help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the sentences and the training (default: %(default)s)")
    options, overrides = parser.parse_known_args(argv)
    from s2s_tts.cli import TASK

    run = prepare_fit_test(TASK, options.output, options.seed, ["synthetic", f"--seed={options.seed}"], overrides)
    _speak(best_of(run), run)
    print(f'\nyours next: lightning run tts synthesize --checkpoint {best_of(run)} "your words" --output speech.wav')
    return 0


def _speak(checkpoint: Path, run: Path) -> None:
    import torch

    from s2s_tts.metrics import alignment_measures
    from s2s_tts.pictures import over_time, png, stacked
    from s2s_tts.sound_files import write_audio
    from s2s_tts.synthesize import Synthesizer

    print(f"\n{len(SENTENCES)} sentences, spoken from Python with s2s_tts.Synthesizer:")
    synthesizer = Synthesizer.load(checkpoint)
    rows = []
    for number, result in enumerate(synthesizer.synthesize_each(SENTENCES), start=1):
        if isinstance(result, UserError):
            print(f"  {result}")
            continue
        path = run / f"speech{number}.wav"
        write_audio(path, result.audio, result.sample_rate_hz)
        sentence = result.sentences[0]
        lengths = (torch.tensor([size]) for size in sentence.alignment.shape)
        diagonality = float(alignment_measures(sentence.alignment[None], *lengths)["diagonality"])
        verdict = "diagonal" if diagonality > DIAGONAL else "not diagonal"
        print(f"  {path}  {result.duration_s:.2f} s, alignment {verdict} ({diagonality:.3f}): {result.text}")
        rows += [over_time(sentence.mel), over_time(sentence.alignment, 0.0, 1.0)]
    if rows:
        (run / "speech.png").write_bytes(png(stacked(rows)))
        print(f"  {run / 'speech.png'}  their spectrograms, and which letters each step attended to")
