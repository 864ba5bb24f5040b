"""``lightning run asr serve``: what recognition adds to it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from s2s_asr.cli.fusion import add_fusion, fuse
from s2s_asr.cli.search_options import add_search_options, search_settings
from s2s_core.cli.arguments import add_precision
from s2s_core.cli.serve import add_audio_limit

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Endpoint


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of recognition."""
    add_audio_limit(parser)
    add_precision(parser)
    add_fusion(parser)
    add_search_options(parser)


def endpoints(options: argparse.Namespace) -> list[Endpoint[Any]]:
    """Load the model that the options name."""
    from s2s_asr.serving import TranscribeEndpoint
    from s2s_asr.transcribe import Transcriber

    search = search_settings(options)
    transcriber = Transcriber.load(options.checkpoint, options.device, options.precision, search, options.jobs)
    fuse(transcriber, options)
    return [TranscribeEndpoint(transcriber, options.max_audio_s)]
