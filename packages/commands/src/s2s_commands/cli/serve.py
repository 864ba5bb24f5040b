"""``lightning run commands serve``: what sound classification adds to it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from s2s_core.cli.arguments import add_precision
from s2s_core.cli.serve import add_audio_limit

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Endpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of sound classification."""
    add_audio_limit(parser, most_s=30.0)
    add_precision(parser)


def endpoints(options: argparse.Namespace) -> list[Endpoint[Any]]:
    """Load the model that the options name."""
    from s2s_commands.classify_sound import CommandClassifier
    from s2s_commands.serving import ClassifySoundEndpoint

    classifier = CommandClassifier.load(options.checkpoint, options.device, options.precision)
    return [ClassifySoundEndpoint(classifier, options.max_audio_s)]
