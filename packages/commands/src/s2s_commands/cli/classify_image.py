"""``lightning run images classify``: pictures to labels, one result a line, in the order they were named."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_commands.answer_row import answer_row
from s2s_commands.cli.answers import write_answers
from s2s_core.cli.arguments import VerbParser, add_device, add_precision, chosen_device, count
from s2s_core.cli.output import output_file

if TYPE_CHECKING:
    from s2s_commands.classify_image import ImageLabel
    from s2s_commands.picture_sources import PictureSource

EPILOG = """\
FILES are pictures of any size (JPEG, PNG, BMP, GIF, WebP, TIFF, PPM), folders that are searched for them, quoted
patterns, or manifests (.jsonl.gz) whose labels give the accuracy at the end.

formats: text  NAME<TAB>LABEL<TAB>PROBABILITY, and with --top 3 two more pairs of label and probability
         json  an object a line: path, label, probability, probabilities

A picture that cannot be read is named on standard error, the others go on, and the exit status is 1.
"""


def main(argv: Sequence[str]) -> int:
    """Classify what the arguments name; returns the exit status."""
    options = _parser().parse_args(argv)
    output = None if options.output is None else output_file("--output", options.output)
    from s2s_commands.classify_image import ImageClassifier  # torch takes seconds to import, --help should not
    from s2s_commands.picture_sources import find_pictures

    classifier = ImageClassifier.load(options.checkpoint, chosen_device(options.device), options.precision)
    sources = find_pictures(options.files)
    with ExitStack() as stack:
        file = stack.enter_context(output.open("w", encoding="utf-8")) if output else sys.stdout
        answers = classifier.classify_each([source.path for source in sources], options.batch_size)
        line = _json if options.format == "json" else partial(_text, top=options.top)
        return write_answers(zip(sources, answers, strict=True), "picture", line, file)


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run images classify",
        description="Pictures to labels with a trained checkpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILES", help="what to classify, see below")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--format", choices=["text", "json"], default="text", help="of the results (default: %(default)s)")
    add("--top", type=count, default=1, metavar="N", help="classes a line of text (default: %(default)s)")
    add("--output", metavar="FILE", help="where to write them (default: standard output)")
    add_device(parser)
    add_precision(parser)
    add("--batch-size", type=count, default=32, metavar="N", help="pictures at once (default: %(default)s)")
    return parser


def _text(source: PictureSource, result: ImageLabel, top: int) -> str:
    best = list(result.probabilities.items())[:top]
    return "\t".join([result.id, *(f"{label}\t{probability:.4f}" for label, probability in best)])


def _json(source: PictureSource, result: ImageLabel) -> str:
    row: dict[str, object] = {"path": result.id, **answer_row(result)}
    if source.label is not None:
        row["reference"] = source.label
    return json.dumps(row, ensure_ascii=False)
