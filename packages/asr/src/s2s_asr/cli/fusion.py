"""``--fuse``: a language model in the search of a decoder that attends."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_asr.transcribe import Transcriber


def add_fusion(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--fuse", metavar="FILE", help="attention models: checkpoint of a language model over the same labels")
    add("--fuse-weight", type=float, default=0.3, metavar="X", help="its weight in the search (default: %(default)g)")


def fuse(transcriber: Transcriber, options: argparse.Namespace) -> None:
    """Let the language model that the options name take part in the transcriber's search.

    Raises:
        UserError: if the decoder is of another family, or the language model has other labels.
    """
    if options.fuse is None:
        return
    from s2s_asr.decoders.attention_search import AttentionSearch
    from s2s_core.decoding.scoring import load_scorer

    search = getattr(transcriber.decoder, "search", None)
    if not isinstance(search, AttentionSearch):
        raise UserError(f"--fuse: needs a decoder that attends, this model has a {type(transcriber.decoder).__name__}")
    if options.fuse_weight < 0:
        raise UserError(f"--fuse-weight is {options.fuse_weight:g}, expected 0 or more")
    scorer = load_scorer(options.fuse, str(transcriber.device))
    search.fuse(scorer, transcriber.task.tokenizer, options.fuse_weight)
