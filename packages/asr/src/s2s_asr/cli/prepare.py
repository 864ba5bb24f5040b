"""``prepare``: a corpus to manifests."""

from __future__ import annotations

import argparse
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.prepare import check_corpus, check_count, check_share, say
from s2s_core.text.tokenizers import ENGLISH_LABELS

CORPORA = {
    "an4": "CMU AN4 as train.csv and test.csv; a tenth of the training speakers become the validation split",
    "commonvoice": "Common Voice: the folder of one language (train.tsv, dev.tsv, test.tsv, clips)",
    "csv": "OpenSeq2Seq's tables (wav_filename,wav_filesize,transcript), .csv or .tsv: a file, or a folder of them",
    "librispeech": "LibriSpeech: every part in the folder becomes a split",
    "ljspeech": "LJ Speech: metadata.csv and wavs; a twentieth becomes the validation split",
    "synthetic": "no input: sentences of a small grammar, spoken by eSpeak NG in many voices",
    "lhotse:NAME": "any corpus that Lhotse has a recipe for, by the recipe's name",
}
_HOLD_OUT = {"an4": 0.1, "ljspeech": 0.05}


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    listing = "\n".join(f"  {name:<12} {text}" for name, text in CORPORA.items())
    parser = VerbParser(
        prog="lightning run asr prepare",
        description="Check a corpus and write Lhotse manifests: SPLIT.jsonl.gz, rejected.tsv, summary.json.",
        epilog=f"corpora:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpus", metavar="CORPUS", help="what lies in --input: one of those listed below")
    parser.add_argument("--input", type=Path, metavar="DIR", help="the corpus in its official layout")
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help="where the manifests go")
    parser.add_argument("--audio-root", type=Path, metavar="DIR", help="csv: what file names are relative to")
    parser.add_argument("--holdout", type=float, metavar="SHARE", help="share of train that becomes validation")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="files to be checked at a time (default: 1)")
    parser.add_argument("--quick", action="store_true", help="believe the files' headers instead of decoding them")
    parser.add_argument("--overwrite", action="store_true", help="replace manifests that are there")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="synthetic: another seed, other speech")
    output = parser.add_argument_group("output")
    output.add_argument("--shar", type=int, metavar="SIZE", help="write Lhotse Shar, SIZE recordings an archive")
    output.add_argument(
        "--relative",
        action="store_true",
        help="name audio relative to --output even where it lies outside",
    )
    output.add_argument("--sentencepiece", type=int, metavar="SIZE", help="train a vocabulary of SIZE pieces as well")
    text = parser.add_argument_group("transcripts")
    text.add_argument(
        "--labels", metavar="CHARS", help="what they may hold (default: a-z, space, apostrophe; any: all)"
    )
    text.add_argument("--keep-case", action="store_true", help="do not lower-case")
    text.add_argument("--keep-punctuation", action="store_true", help="do not strip punctuation")
    text.add_argument("--fold-accents", action="store_true", help="é to e, and so on")
    text.add_argument(
        "--ctc-frame-ms",
        type=float,
        default=20.0,
        metavar="MS",
        help="leave out transcripts longer than their frames; 0 leaves in all (default: 20)",
    )
    return parser


def main(argv: list[str]) -> int:
    """Run ``prepare``; returns the exit status.

    Raises:
        UserError: for everything that is the user's to mend.
    """
    arguments = build_parser().parse_args(argv)
    _check(arguments)
    from s2s_asr.prepare.run import PrepareOptions, prepare_corpus
    from s2s_core.data.prepare.checks import CheckOptions

    options = PrepareOptions(
        checks=CheckOptions(
            labels=_labels(arguments),
            lower_case=not arguments.keep_case,
            strip_punctuation=not arguments.keep_punctuation,
            fold_accents=arguments.fold_accents,
            decode=not arguments.quick,
            ctc_frame_ms=arguments.ctc_frame_ms if arguments.sentencepiece is None else 0.0,
        ),
        hold_out_share=_HOLD_OUT.get(arguments.corpus, 0.0) if arguments.holdout is None else arguments.holdout,
        shar_size=arguments.shar,
        sentencepiece_size=arguments.sentencepiece,
        jobs=arguments.jobs,
        overwrite=arguments.overwrite,
        audio_root=arguments.audio_root,
        seed=arguments.seed,
        relative=arguments.relative,
    )
    summary = prepare_corpus(arguments.corpus, arguments.input, arguments.output, options)
    say(summary, arguments.output)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    check_corpus(arguments.corpus, arguments.input, CORPORA)
    for name in ("jobs", "shar", "sentencepiece"):
        check_count(f"--{name}", getattr(arguments, name))
    check_share("--holdout", arguments.holdout)


def _labels(arguments: argparse.Namespace) -> str | None:
    if arguments.labels is None:
        return None if arguments.sentencepiece is not None else ENGLISH_LABELS
    return None if arguments.labels == "any" else arguments.labels
