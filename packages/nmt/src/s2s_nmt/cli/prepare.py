"""``prepare``: parallel text to tokenised files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_nmt.prepare.run import PrepareOptions
    from s2s_nmt.prepare.summary import Summary

CORPORA = {
    "parallel": "two text files (--input FILE --target FILE), a .tsv, or a folder of NAME.LANGUAGE or .tsv files",
    "multi30k": "Multi30k as a folder of train, val and test files; English to German, 6,000 joint subwords",
    "synthetic": "no input: English of a small grammar and its German, with agreement, cases and verbs at the end",
    "reversal": "no input: OpenSeq2Seq's toy task, 5 to 50 Greek letters to the same letters backwards",
}
MADE = ("synthetic", "reversal")


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    listing = "\n".join(f"  {name:<10} {text}" for name, text in CORPORA.items())
    parser = VerbParser(
        prog="lightning run nmt prepare",
        description="Check parallel text, learn a vocabulary and write SPLIT.arrow, rejected.tsv, summary.json.",
        epilog=f"corpora:\n{listing}\n\nText and .tsv files may be gzipped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("corpus", metavar="CORPUS", help="what lies at --input: one of those listed below")
    add("--input", type=Path, metavar="PATH", help="the source text, a .tsv, or a folder")
    add("--target", type=Path, metavar="FILE", help="the target text, line by line beside --input")
    add("--output", type=Path, metavar="DIR", required=True, help="where the files go")
    add("--overwrite", action="store_true", help="replace files that are there")
    add("--seed", type=int, default=0, metavar="N", help="made corpora: another seed, other sentences")
    folder = parser.add_argument_group("folders")
    folder.add_argument("--source-language", metavar="LL", help="the ending of source files, as en")
    folder.add_argument("--target-language", metavar="LL", help="the ending of target files, as de")
    folder.add_argument(
        "--split",
        action="append",
        default=[],
        metavar="SPLIT=NAME",
        help="the files of a split (default: those that begin with train, val or dev, test)",
    )
    _add_filters(parser.add_argument_group("training pairs"))
    _add_vocabulary(parser.add_argument_group("vocabulary"))
    return parser


def _add_filters(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--max-words", type=int, default=80, metavar="N", help="leave out longer ones; 0: none (default: %(default)s)")
    add("--max-ratio", type=float, default=9.0, metavar="R", help="of the sides' words; 0: any (default: %(default)g)")
    add("--deduplicate", action="store_true", help="leave out pairs that were there before")
    add("--holdout", type=int, default=0, metavar="N", help="pairs that become the validation split")


def _add_vocabulary(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--vocabulary-size", type=int, metavar="N", help="pieces (default: 32768; multi30k 6000, synthetic 200)")
    add("--model-type", choices=["bpe", "unigram"], default="bpe", help="of SentencePiece (default: %(default)s)")
    add("--separate", action="store_true", help="a vocabulary for each side instead of one for both")
    add("--vocabulary", type=Path, metavar="FILE", help="use this SentencePiece model instead of learning one")
    add(
        "--coverage", type=float, default=1.0, metavar="SHARE", help="of characters with a piece (default: %(default)g)"
    )
    add(
        "--normalisation",
        choices=["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"],
        default="nmt_nfkc",
        help="of SentencePiece, part of its model; cf folds case (default: %(default)s)",
    )


def main(argv: list[str]) -> int:
    """Run ``prepare``; returns the exit status.

    Raises:
        UserError: for everything that is the user's to mend.
    """
    arguments = build_parser().parse_args(argv)
    _check(arguments)
    summary = _made(arguments) if arguments.corpus in MADE else _read(arguments)
    print("\n".join(summary.lines()))
    print(f"wrote {', '.join(summary.files)} to {arguments.output}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    corpus = arguments.corpus
    if corpus not in CORPORA:
        raise UserError(f"prepare: no corpus {corpus!r}; there are {', '.join(CORPORA)}")
    if corpus not in MADE and arguments.input is None:
        raise UserError(f"prepare {corpus}: --input PATH is missing")
    if (arguments.source_language is None) != (arguments.target_language is None):
        raise UserError("prepare: --source-language and --target-language go together")
    least = {"vocabulary_size": 8, "max_words": 0, "max_ratio": 0, "holdout": 0}
    for name, bound in least.items():
        value = getattr(arguments, name)
        if value is not None and value < bound:
            raise UserError(f"prepare: --{name.replace('_', '-')} must be at least {bound}, got {value}")
    if not 0 < arguments.coverage <= 1:
        raise UserError(f"prepare: --coverage must be above 0 and at most 1, got {arguments.coverage:g}")


def _read(arguments: argparse.Namespace) -> Summary:
    from s2s_nmt.prepare.run import prepare_parallel
    from s2s_nmt.prepare.sources import find_sources

    multi30k = arguments.corpus == "multi30k"
    languages = ("en", "de") if multi30k else None
    if arguments.source_language is not None:
        languages = (arguments.source_language, arguments.target_language)
    sources = find_sources(arguments.input, arguments.target, languages, dict(map(_split_name, arguments.split)))
    return prepare_parallel(sources, arguments.output, _options(arguments, 6000 if multi30k else 32768))


def _made(arguments: argparse.Namespace) -> Summary:
    from s2s_nmt.prepare.made import prepare_reversal, prepare_synthetic

    if arguments.corpus == "reversal":
        return prepare_reversal(arguments.output, arguments.seed, arguments.overwrite)
    return prepare_synthetic(arguments.output, arguments.seed, _options(arguments, 200))


def _options(arguments: argparse.Namespace, vocabulary_size: int) -> PrepareOptions:
    from s2s_nmt.prepare.checks import CheckOptions
    from s2s_nmt.prepare.run import PrepareOptions
    from s2s_nmt.prepare.vocabulary import VocabularyOptions

    return PrepareOptions(
        checks=CheckOptions(arguments.max_words, arguments.max_ratio, arguments.deduplicate),
        vocabulary=VocabularyOptions(
            size=vocabulary_size if arguments.vocabulary_size is None else arguments.vocabulary_size,
            model_type=arguments.model_type,
            separate=arguments.separate,
            normalisation=arguments.normalisation,
            coverage=arguments.coverage,
            existing=arguments.vocabulary,
        ),
        hold_out=arguments.holdout,
        overwrite=arguments.overwrite,
    )


def _split_name(text: str) -> tuple[str, str]:
    split, separator, name = text.partition("=")
    if not separator or split not in ("train", "validation", "test") or not name:
        raise UserError(f"--split {text}: expected train=NAME, validation=NAME or test=NAME")
    return split, name
