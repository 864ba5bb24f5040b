"""``prepare``: a corpus to manifests."""

from __future__ import annotations

import argparse
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.prepare import check_corpus, check_count, check_share, say

CORPORA = {
    "csv": "tables (wav_filename,wav_filesize,transcript[,speaker]), .csv or .tsv: a file, or a folder of them",
    "librispeech": "LibriSpeech and LibriTTS' plain layout: every part in the folder becomes a split",
    "ljspeech": "LJ Speech: metadata.csv and wavs; a twentieth becomes the validation split",
    "mailabs": "M-AILABS: any folder of it; the folders above the books are the speakers; held out likewise",
    "synthetic": "no input: sentences of a small grammar, spoken by one voice of eSpeak NG at 16 kHz",
    "lhotse:NAME": "any corpus that Lhotse has a recipe for, by the recipe's name (vctk, libritts, ...)",
}
_HOLD_OUT = {"ljspeech": 0.05, "mailabs": 0.05}


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    listing = "\n".join(f"  {name:<12} {text}" for name, text in CORPORA.items())
    parser = VerbParser(
        prog="lightning run tts prepare",
        description="Check a corpus, write Lhotse manifests: SPLIT.jsonl.gz, speakers.txt, rejected.tsv, summary.json.",
        epilog=f"corpora:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("corpus", metavar="CORPUS", help="what lies in --input: one of those listed below")
    add("--input", type=Path, metavar="DIR", help="the corpus in its official layout")
    add("--output", type=Path, metavar="DIR", required=True, help="where the manifests go")
    add("--audio-root", type=Path, metavar="DIR", help="csv: what file names are relative to")
    add("--holdout", type=float, metavar="SHARE", help="share of train that becomes validation, of every speaker")
    add("--test-share", type=float, default=0.0, metavar="SHARE", help="share of train that becomes test (default: 0)")
    add("--jobs", type=int, default=1, metavar="N", help="files to be checked at a time (default: 1)")
    add("--quick", action="store_true", help="believe the files' headers instead of decoding them")
    add("--overwrite", action="store_true", help="replace manifests that are there")
    add("--seed", type=int, default=0, metavar="N", help="synthetic: another seed, other sentences")
    return parser


def main(argv: list[str]) -> int:
    """Run ``prepare``; returns the exit status.

    Raises:
        UserError: for everything that is the user's to mend.
    """
    arguments = build_parser().parse_args(argv)
    _check(arguments)
    from s2s_tts.prepare.run import PrepareOptions, prepare_corpus

    options = PrepareOptions(
        hold_out_share=_HOLD_OUT.get(arguments.corpus, 0.0) if arguments.holdout is None else arguments.holdout,
        test_share=arguments.test_share,
        decode=not arguments.quick,
        jobs=arguments.jobs,
        overwrite=arguments.overwrite,
        audio_root=arguments.audio_root,
        seed=arguments.seed,
    )
    summary = prepare_corpus(arguments.corpus, arguments.input, arguments.output, options)
    say(summary, arguments.output)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    check_corpus(arguments.corpus, arguments.input, CORPORA)
    check_count("--jobs", arguments.jobs)
    check_share("--holdout", arguments.holdout)
    check_share("--test-share", arguments.test_share)
