"""``lightning run lm generate``: goes on with a prompt."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device, number_in
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_core.decoding.hypothesis import Search

MOST = 1_000_000


def main(argv: Sequence[str]) -> int:
    """Generate text; returns the exit status."""
    options = _parser().parse_args(argv)
    if options.beam and (options.top_k or options.top_p < 1 or options.temperature != 1 or options.samples > 1):
        raise UserError(
            "--beam searches for the likeliest text: it goes without --temperature, --top-k, --top-p, --samples"
        )
    prompt = sys.stdin.read().rstrip("\n") if options.prompt == "-" else options.prompt
    from s2s_lm.language_model import LanguageModel

    model = LanguageModel.load(options.checkpoint, chosen_device(options.device), options.precision)
    streams = options.format == "text" and not options.beam and options.samples == 1
    if streams:
        sys.stdout.write(prompt + (" " if prompt and model.task.tokenizer.unit == "words" else ""))
        sys.stdout.flush()
        model.generate(prompt, _search(options), options.unknown, options.one_line, _show)
        print()
        return 0
    for text in model.generate(prompt, _search(options), options.unknown, options.one_line):
        separator = "" if model.task.tokenizer.unit != "words" or not prompt or prompt.endswith("\n") else " "
        row = {"prompt": prompt, "text": text}
        print(json.dumps(row, ensure_ascii=False) if options.format == "json" else prompt + separator + text)
    return 0


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _search(options: argparse.Namespace) -> Search:
    from s2s_core.decoding.beam_search import BeamSearch
    from s2s_core.decoding.sampling import Sampling

    if options.beam:
        return BeamSearch(options.beam, 0.0, nbest=options.beam, max_length_ratio=0.0, max_length_extra=options.tokens)
    return Sampling(
        options.samples,
        options.temperature,
        options.top_k,
        options.top_p,
        options.seed,
        max_length_ratio=0.0,
        max_length_extra=options.tokens,
    )


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run lm generate",
        description="Go on with a prompt, token by token as the model draws them; with --beam, the likeliest text.",
    )
    add = parser.add_argument
    add("prompt", nargs="?", default="", metavar="PROMPT", help="what to go on with; - reads standard input")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--tokens", type=number_in(1, MOST, int), default=200, metavar="N", help="at most (default: %(default)s)")
    add("--temperature", type=number_in(1e-3, 100), default=1.0, help="below 1 the likely becomes likelier (1)")
    add("--top-k", type=number_in(0, MOST, int), default=0, metavar="K", help="draw from the K likeliest (0: all)")
    add("--top-p", type=number_in(1e-6, 1), default=1.0, metavar="P", help="draw from the likeliest that have P (1)")
    add("--beam", type=number_in(1, 1000, int), metavar="N", help="search with N open texts instead of drawing")
    add("--samples", type=number_in(1, 10_000, int), default=1, metavar="N", help="texts to draw (default: 1)")
    add("--seed", type=int, default=0, help="the same seed draws the same (default: 0)")
    add("--one-line", action="store_true", help="stop at the end of the line")
    add("--unknown", action="store_true", help="let the unknown token come")
    add("--format", choices=["text", "json"], default="text", help="(default: %(default)s)")
    add_device(parser)
    add_precision(parser)
    return parser
