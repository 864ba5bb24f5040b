"""``lightning run asr test``: the error rates of a checkpoint, with a search where a language model is given."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from s2s_asr.cli.search_options import add_search_options, search_settings
from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.tasks import find_task
from s2s_core.cli.verbs import evaluate

if TYPE_CHECKING:
    import torch

    from s2s_asr.task import SpeechToText


def main(argv: Sequence[str]) -> int:
    """Measure what the arguments name; returns the exit status."""
    parser = VerbParser(prog="lightning run asr test", add_help=False)
    add_search_options(parser)
    options, rest = parser.parse_known_args(argv)
    settings = search_settings(options)
    with ExitStack() as stack:

        def prepare(model: SpeechToText, device: torch.device) -> None:
            if settings is None:
                return
            from s2s_asr.search.choice import searcher_of

            model.searcher = stack.enter_context(searcher_of(model, settings, options.jobs, device))

        return evaluate("test", find_task("asr"), rest, prepare, parser)
