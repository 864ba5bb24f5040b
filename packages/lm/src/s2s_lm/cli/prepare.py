"""``lightning run lm prepare``: text to tokenised files and a vocabulary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.errors import UserError

CORPORA = {
    "text": "text or manifests (.jsonl) with transcripts, .gz or not: a file, or a folder of train, valid and test",
    "wikitext": "WikiText-2 or WikiText-103: wiki.train.tokens, wiki.valid.tokens, wiki.test.tokens, or .raw",
    "ptb": "Penn Treebank as Mikolov prepared it: ptb.train.txt, ptb.valid.txt, ptb.test.txt",
}
SPLITS = ("train", "validation", "test")


def main(argv: Sequence[str]) -> int:
    """Run ``prepare``; returns the exit status."""
    options = _parser().parse_args(argv)
    if options.corpus not in CORPORA:
        raise UserError(f"prepare: no corpus {options.corpus!r}; there are {', '.join(CORPORA)}")
    if not 0 <= options.holdout < 1:
        raise UserError(f"--holdout {options.holdout}: expected at least 0 and below 1")
    from s2s_lm.prepare.run import PrepareOptions, VocabularyOptions, prepare_text
    from s2s_lm.prepare.sources import find_splits

    splits = {name: [getattr(options, name)] for name in SPLITS if getattr(options, name) is not None}
    if not splits:
        if options.input is None:
            raise UserError(f"prepare {options.corpus}: --input, or --train FILE, is missing")
        splits = find_splits(options.input)
    vocabulary = VocabularyOptions(
        unit=options.unit,
        size=options.vocabulary_size,
        min_count=options.min_count,
        lower_case=options.lower_case,
        existing=options.vocabulary,
    )
    chosen = PrepareOptions(vocabulary, options.rows, options.holdout, options.drop_empty, options.overwrite)
    summary = prepare_text(splits, options.output, chosen)
    print("\n".join(summary.lines()))
    print(f"wrote {', '.join(summary.files)} to {options.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:<10} {text}" for name, text in CORPORA.items())
    parser = VerbParser(
        prog="lightning run lm prepare",
        description="Cut text into words, characters or subwords and write SPLIT.arrow, the vocabulary, summary.json.",
        epilog=f"corpora:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("corpus", metavar="CORPUS", help="one of those listed below")
    add("--input", type=Path, metavar="PATH", help="the corpus: a folder, or a file of training text")
    add("--output", type=Path, metavar="DIR", required=True, help="where the prepared files go")
    for name in SPLITS:
        add(f"--{name}", type=Path, metavar="FILE", help=f"the {name} text, whatever its name")
    add("--holdout", type=float, default=0.0, metavar="SHARE", help="the end of train becomes validation (default: 0)")
    add("--rows", choices=["line", "paragraph", "article"], default="line", help="what a row is (default: line)")
    add("--drop-empty", action="store_true", help="leave out empty lines")
    add("--overwrite", action="store_true", help="replace prepared files that are there")
    vocabulary = parser.add_argument_group("vocabulary")
    add = vocabulary.add_argument
    add("--unit", choices=["words", "characters", "subwords"], default="words", help="(default: %(default)s)")
    add("--vocabulary-size", type=int, metavar="N", help="the most entries (subwords: 8000)")
    add("--min-count", type=int, default=1, metavar="N", help="rarer words are unknown (default: 1)")
    add("--lower-case", action="store_true", help="lower-case the text")
    add("--vocabulary", type=Path, metavar="FILE", help="use this one, such as a trained model's")
    return parser
