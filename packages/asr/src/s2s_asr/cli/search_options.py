"""Options of verbs that search, and the settings that they make."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from s2s_asr.search.settings import DECODERS, SearchSettings, load_settings
from s2s_core.cli.arguments import count
from s2s_core.cores import usable_cores


def add_search_options(parser: argparse.ArgumentParser, weights: bool = True) -> None:
    """Add the options of a search; they default to None, for `search_settings` to tell what was given.

    Args:
        parser: of the verb.
        weights: whether the weights are given, and not looked for.
    """
    group = parser.add_argument_group(
        "search with a language model",
        "Without any of these the decoder finds its text alone. Scores are natural logarithms with every decoder.",
    )
    add = group.add_argument
    add("--lm", metavar="FILE", help="n-gram model over words: ARPA (also .gz), or a binary of KenLM")
    add("--decoder", choices=DECODERS, help="of CTC; auto: our own (tensors), pyctcdecode for hotwords and binaries")
    add("--beam-width", type=int, metavar="N", help="hypotheses kept (CTC 128, other models at least 16)")
    add("--beam-threshold", type=float, metavar="X", help="drop those that rank lower than the best by more")
    add("--lexicon", metavar="FILE", help="known words, one a line; 'none': flashlight's model is over labels")
    add("--unknown-penalty", type=float, metavar="X", help="added for a word that is not known (-20)")
    add("--hotwords", type=_words, metavar="A,B", help="words or phrases to prefer, separated by commas")
    add("--hotword-weight", type=float, metavar="X", help="how much (10)")
    add("--rescore", metavar="FILE", help="checkpoint of a language model, or ARPA: ranks the n-best anew")
    add("--rescore-nbest", type=int, metavar="N", help="hypotheses that are rescored (50)")
    add("--jobs", type=count, default=usable_cores(), metavar="N", help="at a time (default: cores)")
    if weights:
        add("--alpha", type=float, metavar="X", help="weight of the n-gram model (0.5, attention without CTC 0.2)")
        add("--beta", type=float, metavar="X", help="bonus for each word (1)")
        add("--rescore-weight", type=float, metavar="X", help="of the rescoring model (0.5)")
        add("--nbest", type=int, metavar="N", help="hypotheses in the results (1)")
        add("--search", type=Path, metavar="FILE", help="settings that `tune-lm` wrote; options given here come first")


def search_settings(options: argparse.Namespace) -> SearchSettings | None:
    """The settings that the options make, or None if none was given.

    Raises:
        UserError: on a setting that cannot be.
    """
    given: dict[str, Any] = {
        field.name: value
        for field in fields(SearchSettings)
        if (value := getattr(options, field.name, None)) is not None
    }
    path = getattr(options, "search", None)
    if path is not None:
        given = {**load_settings(path), **given}
    return SearchSettings(**given) if given else None


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise argparse.ArgumentTypeError(f"expected words separated by commas, got {text!r}")
    return words
