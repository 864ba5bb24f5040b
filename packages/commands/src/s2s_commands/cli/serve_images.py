"""``lightning run images serve``: what image classification adds to it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from s2s_core.cli.arguments import add_precision, number_in

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Endpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of image classification."""
    add = parser.add_argument
    add("--max-megapixels", type=number_in(0.0001, 1000), default=40, metavar="N", help="of a picture (%(default)s)")
    add_precision(parser)


def endpoints(options: argparse.Namespace) -> list[Endpoint[Any]]:
    """Load the model that the options name."""
    from s2s_commands.classify_image import ImageClassifier
    from s2s_commands.serving import ClassifyImageEndpoint

    classifier = ImageClassifier.load(options.checkpoint, options.device, options.precision)
    return [ClassifyImageEndpoint(classifier, options.max_megapixels)]
