"""``lightning run lm score``: log-probability and perplexity of text."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device, number_in
from s2s_core.decoding.scoring import ARPA_SUFFIXES
from s2s_core.errors import UserError
from s2s_lm.cli.lines import read_text_lines

if TYPE_CHECKING:
    from s2s_lm.language_model import TextScore

EPILOG = """\
Lines are one text: each is scored with all lines before it as context, every token once. With --alone, each line is
scored by itself; an n-gram model always scores them so. Perplexity is per word, ends of lines included, also where
the model reads subwords; of a model of characters it is per character.

formats: text  LOG_PROBABILITY<TAB>PERPLEXITY<TAB>LINE, natural logarithm; the total on standard error
         json  an object a line with everything known, the total last
"""


def main(argv: Sequence[str]) -> int:
    """Score what the arguments name; returns the exit status."""
    options = _parser().parse_args(argv)
    lines = read_text_lines(options.files)
    if not lines:
        raise UserError(f"{', '.join(options.files) or 'standard input'}: holds no text to score")
    from s2s_lm.language_model import total_score

    scores = (
        _arpa_scores(options, lines) if options.checkpoint.name.endswith(ARPA_SUFFIXES) else _scores(options, lines)
    )
    total = total_score(scores)
    if not options.total:
        for score in scores:
            print(_json_line(score) if options.format == "json" else _text_line(score))
    if options.format == "json":
        print(_json_line(total, total=True))
    each = "character" if total.unit == "characters" else "word"
    unknown = f", {total.unknown} of {total.tokens} tokens unknown" if total.unknown else ""
    print(
        f"perplexity {total.perplexity:.2f} a {each} ({total.words} words), "
        f"{total.bits_per_character:.4f} bits a character, log-probability {total.log_probability:.2f}{unknown}",
        file=sys.stderr,
    )
    return 0


def _scores(options: argparse.Namespace, lines: list[str]) -> list[TextScore]:
    from s2s_lm.adaptation import CacheOptions, DynamicOptions
    from s2s_lm.language_model import LanguageModel

    cache = CacheOptions(options.cache_window, options.cache_flatness, options.cache_weight) if options.cache else None
    dynamic = DynamicOptions(options.dynamic_rate, options.dynamic_decay) if options.dynamic else None
    model = LanguageModel.load(options.checkpoint, chosen_device(options.device), options.precision)
    return model.score(lines, not options.alone, cache, dynamic)


def _arpa_scores(options: argparse.Namespace, lines: list[str]) -> list[TextScore]:
    from s2s_core.decoding.arpa import ArpaScorer
    from s2s_lm.language_model import TextScore

    if options.cache or options.dynamic:
        raise UserError("--cache and --dynamic are for neural models, not for n-grams")
    scorer = ArpaScorer.load(options.checkpoint)
    ids = [scorer.encode(line) for line in lines]
    counts = [len(row) + 1 for row in ids]
    return [
        TextScore(line, score, count, count, sum(len(w) + 1 for w in line.split()), row.count(scorer.unk_id), "words")
        for line, score, count, row in zip(lines, scorer.score(ids), counts, ids, strict=True)
    ]


def _text_line(score: TextScore) -> str:
    return f"{score.log_probability:.4f}\t{score.perplexity:.2f}\t{score.text}"


def _json_line(score: TextScore, total: bool = False) -> str:
    row: dict[str, object] = {"total": True} if total else {"text": score.text}
    return json.dumps(row | score.row(), ensure_ascii=False)


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run lm score",
        description="Log-probability and perplexity of text, line by line and in total.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="text, one sentence or paragraph a line (default: standard input)")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it, or an n-gram model (.arpa)")
    add("--alone", action="store_true", help="score each line by itself")
    add("--total", action="store_true", help="only the total")
    add("--format", choices=["text", "json"], default="text", help="(default: %(default)s)")
    add_device(parser)
    add_precision(parser)
    adapt = parser.add_argument_group("learning from the text that is scored")
    add = adapt.add_argument
    add("--cache", action="store_true", help="point into the recent past (Grave et al. 2017)")
    add("--cache-window", type=number_in(1, 10**7, int), default=3785, metavar="N", help="(default: %(default)s)")
    add("--cache-flatness", type=number_in(0, 100), default=0.6625, help="theta (default: %(default)s)")
    add("--cache-weight", type=number_in(0, 0.999), default=0.1279, help="lambda (default: %(default)s)")
    add("--dynamic", action="store_true", help="take gradient steps along the text (Krause et al. 2018)")
    add("--dynamic-rate", type=number_in(0, 1000), default=0.1, help="(default: %(default)s)")
    add("--dynamic-decay", type=number_in(0, 1), default=0.0, help="back towards the trained weights (default: 0)")
    return parser
