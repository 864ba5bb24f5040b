"""``prepare``: a corpus of sounds to manifests."""

from __future__ import annotations

import argparse
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.prepare import check_corpus, check_count, say

CORPORA = {
    "speech-commands": "Google Speech Commands, all words (V1: 30, V2: 35), split by its official lists",
    "speech-commands-12": "the same as ten commands, unknown and silence",
    "fsdd": "Free Spoken Digit Dataset: takes 0-4 are test, the last take of each digit and speaker validation",
    "folders": "a folder a class; or such folders in train, validation and test",
    "csv": "tables with wav_filename and label (split, speaker): a .csv file, or a folder of them",
    "synthetic": "no input: ten commands, spoken by eSpeak NG in many voices",
}


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    listing = "\n".join(f"  {name:<19} {text}" for name, text in CORPORA.items())
    parser = VerbParser(
        prog="lightning run commands prepare",
        description="Check a corpus and write Lhotse manifests: SPLIT.jsonl.gz, rejected.tsv, summary.json.",
        epilog=f"corpora:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", metavar="CORPUS", help="what lies in --input: one of those listed below")
    parser.add_argument("--input", type=Path, metavar="DIR", help="the corpus in its official layout")
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="where the manifests go")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="files to be checked at a time (default: 1)")
    parser.add_argument("--overwrite", action="store_true", help="replace manifests that are there")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="synthetic: another seed, other speech")
    return parser


def main(argv: list[str]) -> int:
    """Run ``prepare``; returns the exit status.

    Raises:
        UserError: for everything that is the user's to mend.
    """
    options = build_parser().parse_args(argv)
    check_corpus(options.corpus, options.input, CORPORA, lhotse=False)
    check_count("--jobs", options.jobs)
    from s2s_commands.prepare.sounds import prepare_sounds

    summary = prepare_sounds(
        options.corpus, options.input, options.output, options.jobs, options.overwrite, options.seed
    )
    say(summary, options.output)
    return 0
