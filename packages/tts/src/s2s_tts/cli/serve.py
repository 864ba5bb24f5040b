"""``lightning run tts serve``: what synthesis adds to it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2s_core.cli.arguments import add_precision
from s2s_core.cli.serve import add_text_limit

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Endpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of synthesis."""
    add_text_limit(parser, most=1000)
    add = parser.add_argument
    add("--vocoder", metavar="NAME", help="griffin-lim, or a vocoder's checkpoint (default: the checkpoint's own)")
    add("--style-from", type=Path, metavar="FILE", help="a recording to be imitated, where the model takes styles")
    add_precision(parser)


def endpoints(options: argparse.Namespace) -> list[Endpoint[Any]]:
    """Load the model that the options name."""
    from s2s_core.data.audio_files import read_audio
    from s2s_tts.serving import SynthesizeEndpoint
    from s2s_tts.synthesize import Synthesizer

    vocoder = "checkpoint" if options.vocoder is None else options.vocoder
    synthesizer = Synthesizer.load(options.checkpoint, options.device, vocoder, options.precision)
    style = None
    if options.style_from is not None:
        style = read_audio(options.style_from, synthesizer.sample_rate_hz)[0].numpy()
    return [SynthesizeEndpoint(synthesizer, options.max_characters, style)]
