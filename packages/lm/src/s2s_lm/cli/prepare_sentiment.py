"""``lightning run sentiment prepare``: labelled texts to tokenised files and a vocabulary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser, number_in
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_lm.sentiment.corpora import Labelled

CORPORA = {
    "sst2": "Stanford Sentiment Treebank, two classes: train.tsv, dev.tsv, test.tsv of sentence<TAB>label",
    "imdb": "Large Movie Review Dataset: train/pos, train/neg, test/pos, test/neg",
    "csv": "tables with a header: a file, or train, validation and test, .csv or .tsv",
}


def main(argv: Sequence[str]) -> int:
    """Run ``prepare``; returns the exit status."""
    options = _parser().parse_args(argv)
    if options.corpus not in CORPORA:
        raise UserError(f"prepare: no corpus {options.corpus!r}; there are {', '.join(CORPORA)}")
    if not options.input.exists():
        raise UserError(f"--input {options.input}: no such file or folder")
    from s2s_lm.sentiment.prepare import TextOptions, prepare_texts

    text = TextOptions(
        lower_case=not options.keep_case,
        split_punctuation=options.split_punctuation or options.corpus == "imdb",
        min_count=options.min_count,
        size=options.vocabulary_size,
        existing=options.vocabulary,
        spelling=options.spelling,
    )
    summary = prepare_texts(_read(options), options.output, text, options.overwrite)
    print("\n".join(summary.lines()))
    print(f"wrote {', '.join(summary.files)} to {options.output}")
    return 0


def _read(options: argparse.Namespace) -> dict[str, list[Labelled]]:
    from s2s_lm.sentiment.corpora import read_csv, read_imdb, read_sst2

    if options.corpus == "sst2":
        return read_sst2(options.input)
    if options.corpus == "imdb":
        return read_imdb(options.input, options.ratings)
    return read_csv(options.input, options.text_column, options.label_column, options.holdout)


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:<6} {text}" for name, text in CORPORA.items())
    parser = VerbParser(
        prog="lightning run sentiment prepare",
        description="Cut labelled texts into words and write SPLIT.arrow, the vocabulary and summary.json.",
        epilog=f"corpora:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("corpus", metavar="CORPUS", help="one of those listed below")
    add("--input", type=Path, metavar="PATH", required=True, help="the corpus in its official layout")
    add("--output", type=Path, metavar="DIR", required=True, help="where the prepared files go")
    add("--ratings", action="store_true", help="imdb: the ratings 1 to 10 as classes, instead of two")
    add("--text-column", default="text", metavar="NAME", help="csv: (default: text)")
    add("--label-column", default="label", metavar="NAME", help="csv: (default: label)")
    add("--holdout", type=number_in(0, 0.9), default=0.1, metavar="SHARE", help="csv: of train, for validation (0.1)")
    add("--overwrite", action="store_true", help="replace prepared files that are there")
    text = parser.add_argument_group("text")
    add = text.add_argument
    add("--keep-case", action="store_true", help="do not lower-case")
    add("--split-punctuation", action="store_true", help="cut punctuation off words (imdb: always)")
    add("--vocabulary-size", type=number_in(3, 10**9, int), metavar="N", help="the most entries")
    add("--min-count", type=number_in(1, 10**9, int), default=1, metavar="N", help="rarer words are unknown (1)")
    add("--vocabulary", type=Path, metavar="FILE", help="use this one, such as a language model's vocab.txt or .model")
    add(
        "--spelling",
        type=number_in(1, 10**7, int),
        default=0,
        metavar="N",
        help="character n-grams behind each word, under N numbers, for a SpelledTokenizer with as many buckets",
    )
    return parser
