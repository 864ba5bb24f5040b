"""``lightning run sentiment classify``: texts to classes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device, number_in
from s2s_lm.cli.lines import read_text_lines

EPILOG = """\
formats: text  CLASS<TAB>PROBABILITY<TAB>TEXT
         json  an object a line: text, label and the probability of every class
"""


def main(argv: Sequence[str]) -> int:
    """Classify what the arguments name; returns the exit status."""
    options = _parser().parse_args(argv)
    texts = options.text or read_text_lines(options.files)
    from s2s_lm.sentiment.classifier import SentimentClassifier

    classifier = SentimentClassifier.load(
        options.checkpoint, chosen_device(options.device), options.precision, options.max_length
    )
    for found in classifier.classify(texts):
        if options.format == "json":
            print(json.dumps(found.row(), ensure_ascii=False))
        else:
            print(f"{found.label}\t{found.probabilities[found.label]:.4f}\t{found.text}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run sentiment classify",
        description="Texts to classes with a trained checkpoint, one a line in, one a line out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="texts, one a line (default: standard input)")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--text", action="append", metavar="TEXT", help="classify this text; may be repeated")
    add("--format", choices=["text", "json"], default="text", help="(default: %(default)s)")
    add("--max-length", type=number_in(1, 10**6, int), default=256, metavar="N", help="keep the last N tokens (256)")
    add_device(parser)
    add_precision(parser)
    return parser
