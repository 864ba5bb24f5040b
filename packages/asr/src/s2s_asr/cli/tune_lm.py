"""``lightning run asr tune-lm``: the weights of language models, by the word error rate on a validation set."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_asr.cli.search_options import add_search_options, search_settings
from s2s_core.cli.arguments import VerbParser, add_device, chosen_device
from s2s_core.cli.status_line import StatusLine
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from s2s_asr.search.tuning import Trial
    from s2s_asr.sources import NamedSource
    from s2s_asr.transcribe import Transcriber

MOST_VALUES = 1000

EPILOG = """\
FILES are recordings with transcripts: manifests as `transcribe` takes them. They are recognised once; then every
combination of weights is searched, on all cores. The table goes to standard output, the weights that are chosen to
--output, from where `transcribe --search FILE` and `test --search FILE` take them: of all that are not worse than the
best by more than one standard error, those that trust language models least. Tune on validation data, not on the
test set.

values: FROM:TO:STEP, or numbers separated by commas
"""


def main(argv: Sequence[str]) -> int:
    """Tune as the arguments say; returns the exit status."""
    options = _parser().parse_args(argv)
    grid = ("alpha", "beta", "rescore_weight")
    settings = search_settings(argparse.Namespace(**{k: v for k, v in vars(options).items() if k not in grid}))
    if settings is None or (settings.lm is None and settings.rescore is None):
        raise UserError("tune-lm: nothing to tune; expected --lm FILE, --rescore FILE, or both")
    if settings.lm is None:
        options.alpha, options.beta = [0.0], [0.0]
    if settings.rescore is None:
        options.rescore_weight = [0.0]
    from s2s_asr.search.choice import searcher_of
    from s2s_asr.search.tuning import choose, tune
    from s2s_asr.transcribe import Transcriber

    transcriber = Transcriber.load(options.checkpoint, chosen_device(options.device))
    frames, references = _frames(transcriber, options)
    searches = len(options.alpha) * len(options.beta) * len(frames)
    with searcher_of(transcriber.task, settings, options.jobs, transcriber.device) as searcher:
        progress = _Progress(searches)
        trials = tune(searcher, frames, references, options.alpha, options.beta, options.rescore_weight, progress.done)
        progress.close()
    best, chosen = min(trials, key=lambda trial: trial.wer), choose(trials)
    _print(trials, best, chosen, options.format)
    about = f"best WER {best.wer:.2%} at {_weights(best)}; chosen {chosen.wer:.2%} at {_weights(chosen)}"
    print(f"{progress.summary()}; {about}", file=sys.stderr)
    if options.output is not None:
        weights = {"alpha": chosen.alpha, "beta": chosen.beta, "rescore_weight": chosen.rescore_weight}
        replace(settings, **weights).save(options.output)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run asr tune-lm",
        description="Find the weights of language models on a validation set.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILES", help="recordings with transcripts, see below")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="of the recogniser, as `fit` wrote it")
    add("--output", type=Path, metavar="FILE", help="where to write the chosen settings, as JSON")
    add("--format", choices=["text", "json"], default="text", help="of the table (default: %(default)s)")
    add(
        "--logits", type=Path, metavar="FILE", help="keep the recogniser's output here, and take it from here next time"
    )
    add_device(parser)
    add_search_options(parser, weights=False)
    grid = parser.add_argument_group("the grid")
    add = grid.add_argument
    add("--alpha", type=_values, default=_values("0:2:0.25"), metavar="VALUES", help="(default: 0:2:0.25)")
    add("--beta", type=_values, default=_values("-1:3:0.5"), metavar="VALUES", help="(default: -1:3:0.5)")
    add("--rescore-weight", type=_values, default=_values("0:2:0.1"), metavar="VALUES", help="(default: 0:2:0.1)")
    return parser


def _values(text: str) -> list[float]:
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            count = int((last - first) / step + 1e-9) + 1
            values = [round(first + step * number, 10) for number in range(min(count, MOST_VALUES + 1))]
        else:
            values = [float(part) for part in text.split(",")]
    except (ValueError, ZeroDivisionError, OverflowError):
        values = []
    if not 0 < len(values) <= MOST_VALUES or not all(abs(value) < float("inf") for value in values):
        raise argparse.ArgumentTypeError(f"expected FROM:TO:STEP or numbers separated by commas, got {text!r}")
    return values


def _frames(transcriber: Transcriber, options: argparse.Namespace) -> tuple[list[Tensor], list[str]]:
    from s2s_asr.search.tuning import FrameCache
    from s2s_asr.sources import find_sources

    sources = find_sources(options.files, transcriber.sample_rate_hz)
    untold = next((source.name for source in sources if source.reference is None), None)
    if untold is not None:
        raise UserError(f"{untold}: has no transcript; expected a manifest with transcripts")
    normalise = transcriber.task.tokenizer.normalise
    references = [normalise(source.reference or "") for source in sources]
    if options.logits is None:
        return _recognised(transcriber, sources), references
    stamp = options.checkpoint.stat()
    key = [f"{stamp.st_size} {stamp.st_mtime_ns}", *(source.name for source in sources)]
    cache = FrameCache(options.logits, key)
    frames = cache.load()
    if frames is None:
        frames = _recognised(transcriber, sources)
        cache.save(frames)
    return frames, references


def _recognised(transcriber: Transcriber, sources: list[NamedSource]) -> list[Tensor]:
    frames = []
    for result in transcriber.searchable_each([source.audio for source in sources]):
        if isinstance(result, UserError):
            raise result
        frames.append(result)
    return frames


def _print(trials: list[Trial], best: Trial, chosen: Trial, form: str) -> None:
    if form == "json":
        for trial in trials:
            weights = {key: value for key, value in asdict(trial).items() if key != "errors"}
            print(json.dumps({**weights, "best": trial == best, "chosen": trial == chosen}))
        return
    print(f"{'alpha':>7} {'beta':>7} {'rescore':>7} {'WER':>8}")
    for trial in trials:
        mark = ("  best" if trial == best else "") + ("  chosen" if trial == chosen else "")
        print(f"{trial.alpha:>7g} {trial.beta:>7g} {trial.rescore_weight:>7g} {trial.wer:>8.2%}{mark}")


def _weights(trial: Trial) -> str:
    rescoring = f", rescore weight {trial.rescore_weight:g}" if trial.rescore_weight else ""
    return f"alpha {trial.alpha:g}, beta {trial.beta:g}{rescoring}"


class _Progress:
    """A line on a terminal: searches done, rate, time left."""

    def __init__(self, total: int) -> None:
        self._total, self._line = total, StatusLine()

    def done(self, count: int) -> None:
        rate = count / self._line.elapsed_s
        left = (self._total - count) / rate
        self._line.show(f"{count} of {self._total} searches, {rate:.0f}/s, {left:.0f} s left")

    def close(self) -> None:
        self._seconds = self._line.elapsed_s
        self._line.clear()

    def summary(self) -> str:
        return f"{self._total} searches in {self._seconds:.1f} s"
