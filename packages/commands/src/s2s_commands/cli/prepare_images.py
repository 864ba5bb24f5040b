"""``prepare`` of images: a corpus of pictures to manifests."""

from __future__ import annotations

import argparse
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.prepare import check_corpus, check_count, check_share, say

CORPORA = {
    "cifar10": "CIFAR-10: its binary or its pickled batches, or a folder a class in train and test",
    "imagenet": "ILSVRC 2012 as unpacked: train/nXXXXXXXX and val",
    "folders": "a folder a class; or such folders in train, validation and test",
    "digits": "no input: scikit-learn's handwritten digits",
}


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    listing = "\n".join(f"  {name:<9} {text}" for name, text in CORPORA.items())
    parser = VerbParser(
        prog="lightning run images prepare",
        description="Check a corpus and write manifests: SPLIT.jsonl.gz, rejected.tsv, summary.json.",
        epilog=f"corpora:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", metavar="CORPUS", help="what lies in --input: one of those listed below")
    parser.add_argument("--input", type=Path, metavar="DIR", help="the corpus in its official layout")
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="where the manifests go")
    parser.add_argument(
        "--holdout", type=float, default=0.1, metavar="SHARE", help="of train for validation, if there is none (0.1)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="files to be checked at a time (default: 1)")
    parser.add_argument("--quick", action="store_true", help="believe the files' headers instead of decoding them")
    parser.add_argument("--overwrite", action="store_true", help="replace manifests that are there")
    return parser


def main(argv: list[str]) -> int:
    """Run ``prepare``; returns the exit status.

    Raises:
        UserError: for everything that is the user's to mend.
    """
    options = build_parser().parse_args(argv)
    check_corpus(options.corpus, options.input, CORPORA, made_up="digits", lhotse=False)
    check_count("--jobs", options.jobs)
    check_share("--holdout", options.holdout)
    from s2s_commands.prepare.images import ImageOptions, prepare_images

    chosen = ImageOptions(options.holdout, options.jobs, options.quick, options.overwrite)
    summary = prepare_images(options.corpus, options.input, options.output, chosen)
    say(summary, options.output)
    return 0
