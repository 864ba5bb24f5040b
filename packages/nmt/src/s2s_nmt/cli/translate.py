"""``lightning run nmt translate``: lines of text in, one translation a line out, in their order."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from s2s_core.cli.arguments import VerbParser, add_device, chosen_device, count
from s2s_core.cli.output import output_file
from s2s_core.errors import UserError
from s2s_core.host_memory import keep_freed_memory
from s2s_nmt.cli.lines import STANDARD_INPUT, count_lines, read_lines
from s2s_nmt.cli.rate import Rate
from s2s_nmt.translation_row import translation_row

if TYPE_CHECKING:
    from s2s_core.decoding.beam_search import BeamSearch
    from s2s_core.decoding.sampling import Sampling
    from s2s_nmt.translate import Translation, Translator

EPILOG = """\
FILES are UTF-8 text, a sentence (or whatever the model takes) a line; - or none is standard input. An empty line stays
empty. Sentences of like length are translated together, whatever their order; memory does not grow with their number.

formats: text  the best translation of each line; with --nbest above 1: LINE ||| TEXT ||| SCORE, lines from 0
         json  an object a line: line, source, text, score, nbest with scores, log probabilities and tokens, and for
               models with one attention the source token that each token is aligned with

A line that cannot be translated is named on standard error, its translation is empty, the others go on, and the exit
status is 1.
"""
LENGTHS = ("min_length", "max_length_ratio", "max_length_extra", "no_repeat_ngram")
BEAM = ("beam_width", "length_penalty", "coverage_penalty", "nbest", *LENGTHS)
SAMPLING = ("temperature", "top_k", "top_p", "seed")


def main(argv: Sequence[str]) -> int:
    """Translate what the arguments name; returns the exit status."""
    options = _parser().parse_args(argv)
    if options.interactive and (options.files or options.output):
        raise UserError("--interactive reads the terminal and writes to it; it takes neither FILES nor --output")
    path = None if options.output is None else output_file("--output", options.output)
    files = options.files or [STANDARD_INPUT]
    lines = read_lines(files)  # says at once if a file is not there
    keep_freed_memory()
    from s2s_nmt.translate import Translator  # torch takes seconds to import, --help should not

    translator = Translator.load(options.checkpoint, chosen_device(options.device), options.precision, options.int8)
    search = chosen_search(translator.search, options)
    if options.interactive:
        return _converse(translator, search, options)
    with ExitStack() as stack:
        output = stack.enter_context(path.open("w", encoding="utf-8")) if path else sys.stdout
        return _translate(translator, search, lines, Rate(count_lines(files)), options, output)


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run nmt translate",
        description="Text to text with a trained checkpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILES", help="what to translate, see below (default: standard input)")
    add("--checkpoint", required=True, type=Path, metavar="PATH", help="as `fit` wrote it")
    add("--interactive", action="store_true", help="a prompt: translate each line as it is typed")
    add("--format", choices=list(FORMATS), default="text", help="of the results (default: %(default)s)")
    add("--output", metavar="FILE", help="where to write them (default: standard output)")
    add_device(parser)
    add("--precision", choices=["fp32", "bf16"], default="fp32", help="of the weights (default: %(default)s)")
    add("--int8", action="store_true", help="multiply by 8-bit integer weights, quantised on loading (CPU)")
    add("--batch-tokens", type=count, default=4096, metavar="N", help="source tokens at once (default: %(default)d)")
    add("--batch-sentences", type=count, default=64, metavar="N", help="sentences at once (default: %(default)d)")
    add("--prefix", default="", metavar="TEXT", help="what every translation must begin with")
    group = parser.add_argument_group("search (default: the model's own)")
    add = group.add_argument
    add("--beam-width", type=int, metavar="N", help="open hypotheses a sentence; 1 is greedy")
    add("--length-penalty", type=float, metavar="ALPHA", help="0 favours short translations, 1 long ones")
    add("--coverage-penalty", type=float, metavar="BETA", help="for source words left out; models with one attention")
    add("--nbest", type=int, metavar="N", help="translations of each line to give")
    add("--min-length", type=int, metavar="N", help="tokens at least")
    add("--max-length-ratio", type=float, metavar="R", help="tokens at most: R times those of the source ...")
    add("--max-length-extra", type=int, metavar="N", help="... and N more")
    add("--no-repeat-ngram", type=int, metavar="N", help="no N tokens in a row come twice; 0: they may")
    add = parser.add_argument_group("drawing at random instead").add_argument
    add("--sample", action="store_true", help="draw translations from the model's distribution, --nbest of each line")
    add("--temperature", type=float, metavar="T", help="below 1 the likely becomes likelier")
    add("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens")
    add("--top-p", type=float, metavar="P", help="draw from the likeliest tokens that have probability P together")
    add("--seed", type=int, help="the same seed draws the same")
    return parser


def chosen_search(own: BeamSearch, options: argparse.Namespace) -> BeamSearch | Sampling:
    """The model's own search, changed as the options say, or sampling.

    Raises:
        UserError: if options do not go together or are out of their range.
    """
    from s2s_core.decoding.beam_search import BeamSearch
    from s2s_core.decoding.sampling import Sampling

    settings: dict[str, Any] = own.describe()["init_args"]
    given = {name: getattr(options, name) for name in (*BEAM, *SAMPLING) if getattr(options, name) is not None}
    useless = [name for name in given if name in (BEAM[:3] if options.sample else SAMPLING)]
    if useless:
        why = "is for beam search, not for --sample" if options.sample else "needs --sample"
        raise UserError(f"--{useless[0].replace('_', '-')} {why}")
    try:
        if not options.sample:
            settings["nbest"] = min(settings["nbest"], given.get("beam_width", settings["beam_width"]))
            return BeamSearch(**{**settings, **given})
        samples = given.pop("nbest", 1)
        return Sampling(samples=samples, **{**{name: settings[name] for name in LENGTHS}, **given})
    except ValueError as error:
        raise UserError(f"search: {error}") from None


def _translate(
    translator: Translator,
    search: BeamSearch | Sampling,
    lines: Iterable[str | UserError],
    rate: Rate,
    options: argparse.Namespace,
    output: TextIO,
) -> int:
    results = translator.translate_each(
        lines,
        search,
        prefixes=_always(options.prefix) if options.prefix else None,
        batch_tokens=options.batch_tokens,
        batch_sentences=options.batch_sentences,
        progress=rate.finished,
    )
    for number, result in enumerate(results):
        if isinstance(result, UserError):
            rate.failed()
            print(f"error: {result}", file=sys.stderr)
        else:
            rate.wrote(len(result.candidates[0].pieces) if result.candidates else 0)
        output.write(FORMATS[options.format](number, result, _several(search)) + "\n")
        output.flush()
    rate.close()
    print(rate.summary(), file=sys.stderr)
    return 1 if rate.failures else 0


def _always(text: str) -> Iterator[str]:
    while True:
        yield text


def _several(search: BeamSearch | Sampling) -> bool:
    settings = search.describe()["init_args"]
    return settings.get("nbest", settings.get("samples", 1)) > 1


def _converse(translator: Translator, search: BeamSearch | Sampling, options: argparse.Namespace) -> int:
    """Translate line by line until the input ends."""
    number = 0
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return 0
        prefixes = [options.prefix] if options.prefix else None
        for result in translator.translate_each([line], search, prefixes):
            if isinstance(result, UserError):
                print(f"error: {result}", file=sys.stderr)
            else:
                print(FORMATS[options.format](number, result, _several(search)), flush=True)
        number += 1


def _text_line(number: int, result: Translation | UserError, several: bool) -> str:
    if isinstance(result, UserError):
        return f"{number} |||  ||| " if several else ""
    if not several:
        return result.text
    return "\n".join(f"{number} ||| {found.text} ||| {found.score:.4f}" for found in result.candidates)


def _json_line(number: int, result: Translation | UserError, several: bool) -> str:
    if isinstance(result, UserError):
        return json.dumps({"line": number + 1, "error": str(result)}, ensure_ascii=False)
    return json.dumps(translation_row(number + 1, result), ensure_ascii=False)


FORMATS: dict[str, Callable[[int, Translation | UserError, bool], str]] = {"text": _text_line, "json": _json_line}
