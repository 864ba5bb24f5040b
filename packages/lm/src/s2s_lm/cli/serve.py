"""``lightning run lm serve``: what language models add to it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from s2s_core.cli.arguments import add_precision, number_in
from s2s_core.cli.serve import add_text_limit

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Endpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of language models."""
    add_text_limit(parser)
    add = parser.add_argument
    add("--max-tokens", type=number_in(1, 10**6, int), default=500, metavar="N", help="to generate (%(default)s)")
    add_precision(parser)


def endpoints(options: argparse.Namespace) -> list[Endpoint[Any]]:
    """Load the model that the options name."""
    from s2s_lm.language_model import LanguageModel
    from s2s_lm.serving import GenerateEndpoint, ScoreEndpoint

    model = LanguageModel.load(options.checkpoint, options.device, options.precision)
    return [
        GenerateEndpoint(model, options.max_characters, options.max_tokens),
        ScoreEndpoint(model, options.max_characters),
    ]
