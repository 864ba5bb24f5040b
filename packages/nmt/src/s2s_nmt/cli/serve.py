"""``lightning run nmt serve``: what translation adds to it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from s2s_core.cli.serve import add_text_limit
from s2s_core.host_memory import keep_freed_memory

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Endpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of translation."""
    add_text_limit(parser)
    add = parser.add_argument
    add("--precision", choices=["fp32", "bf16"], default="fp32", help="of the weights (default: %(default)s)")
    add("--int8", action="store_true", help="multiply by 8-bit integer weights, quantised on loading (CPU)")


def endpoints(options: argparse.Namespace) -> list[Endpoint[Any]]:
    """Load the model that the options name."""
    keep_freed_memory()
    from s2s_nmt.serving import TranslateEndpoint
    from s2s_nmt.translate import Translator

    translator = Translator.load(options.checkpoint, options.device, options.precision, options.int8)
    return [TranslateEndpoint(translator, options.max_characters)]
