"""``lightning run tts test``: the figures of a checkpoint, and how well a recogniser understands its speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.tasks import find_task
from s2s_core.cli.verbs import evaluate

if TYPE_CHECKING:
    import torch

    from s2s_tts.task import TextToSpeech


def main(argv: Sequence[str]) -> int:
    """Measure what the arguments name; returns the exit status."""
    parser = VerbParser(prog="lightning run tts test", add_help=False)
    group = parser.add_argument_group("intelligibility")
    group.add_argument(
        "--recogniser",
        metavar="FILE",
        help="checkpoint of speech recognition: its word error rate on the synthetic speech, and on the recordings",
    )
    options, rest = parser.parse_known_args(argv)

    def prepare(model: TextToSpeech, device: torch.device) -> None:
        if options.recogniser is not None:
            from s2s_core.recognition import load_recogniser

            model.recogniser = load_recogniser(options.recogniser, str(device))

    return evaluate("test", find_task("tts"), rest, prepare, parser)
