"""``lightning run sentiment serve``: what classification of texts adds to it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from s2s_core.cli.arguments import add_precision, number_in
from s2s_core.cli.serve import add_text_limit

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Endpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of classification of texts."""
    add_text_limit(parser)
    add = parser.add_argument
    add("--max-length", type=number_in(1, 10**6, int), default=256, metavar="N", help="keep the last N tokens (256)")
    add_precision(parser)


def endpoints(options: argparse.Namespace) -> list[Endpoint[Any]]:
    """Load the model that the options name."""
    from s2s_lm.sentiment.classifier import SentimentClassifier
    from s2s_lm.sentiment.serving import ClassifyTextEndpoint

    classifier = SentimentClassifier.load(options.checkpoint, options.device, options.precision, options.max_length)
    return [ClassifyTextEndpoint(classifier, options.max_characters)]
