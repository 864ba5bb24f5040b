"""``lightning run lm ngram``: estimates an n-gram model, in ARPA form."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser, number_in
from s2s_core.cli.output import output_file
from s2s_core.errors import UserError

EPILOG = """\
Interpolated modified Kneser-Ney, one sentence a line, words between spaces. KenLM's lmplz computes the same; where it
is installed it is used, because it works on disk: the estimator of this toolkit takes about 200 bytes of memory a word.
"""


def main(argv: Sequence[str]) -> int:
    """Estimate a model; returns the exit status."""
    options = _parser().parse_args(argv)
    output = output_file("--output", str(options.output))
    for path in options.files:
        if path != "-" and not Path(path).is_file():
            raise UserError(f"{path}: no such file")
    lmplz = shutil.which("lmplz")
    if options.engine == "lmplz" and lmplz is None:
        raise UserError("--engine lmplz: KenLM's lmplz is not on the PATH")
    began = time.monotonic()
    if lmplz is not None and options.engine != "s2s" and options.vocabulary is None:
        _run_lmplz(lmplz, options, output)
    else:
        _estimate(options, output)
    print(f"wrote {output} in {time.monotonic() - began:.1f} s", file=sys.stderr)
    return 0


def _estimate(options: argparse.Namespace, output: Path) -> None:
    from s2s_lm.ngram.arpa_file import write_arpa
    from s2s_lm.ngram.counts import read_corpus
    from s2s_lm.ngram.kneser_ney import estimate

    vocabulary = None if options.vocabulary is None else _words_of(options.vocabulary)
    corpus = read_corpus(_lines(options.files), vocabulary, ", ".join(options.files))
    words = int((corpus.left > 1).sum()) - int((corpus.tokens == 1).sum())
    print(f"{words:,} words, {len(corpus.words):,} different ones", file=sys.stderr, flush=True)
    model = estimate(corpus, options.order, options.prune)
    for n, (order, discounts) in enumerate(zip(model.orders, model.discounts, strict=True), start=1):
        note = " (too few to estimate discounts)" if n in model.fallbacks else ""
        shown = " ".join(f"{value:.4f}" for value in discounts)
        print(f"order {n}: {len(order.places):,} n-grams, discounts {shown}{note}", file=sys.stderr)
    write_arpa(model, output)


def _run_lmplz(lmplz: str, options: argparse.Namespace, output: Path) -> None:
    command = [lmplz, "-o", str(options.order), "--discount_fallback", "--skip_symbols", "--arpa", str(output)]
    command += ["--prune", *map(str, options.prune)] if options.prune else []
    print(f"running {' '.join(command)}", file=sys.stderr, flush=True)
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdin is not None
        for line in _lines(options.files):
            process.stdin.write(line if line.endswith("\n") else f"{line}\n")
        process.stdin.close()
        status = process.wait()
    if status:
        raise UserError(f"lmplz ended with status {status}")


def _lines(files: Sequence[str]) -> Iterator[str]:
    from s2s_lm.prepare.sources import BadLine, read_lines

    for name in files:
        if name == "-":
            yield from sys.stdin
            continue
        for line in read_lines(Path(name)):
            if isinstance(line, BadLine):
                raise UserError(f"{line.where}: {line.reason}, {line.detail}")
            yield line


def _words_of(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--vocabulary {path}: {error}") from None
    words = [line.split("\t", 1)[0] for line in lines]
    return [word for word in words if word and word not in ("<eos>", "<unk>")]


def _parser() -> argparse.ArgumentParser:
    parser = VerbParser(
        prog="lightning run lm ngram",
        description="Estimate an n-gram model from text and write it in ARPA form.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="text or manifests (.jsonl), .gz or not; - is standard input")
    add("--output", required=True, type=Path, metavar="FILE", help="the .arpa file")
    add("--order", type=number_in(1, 6, int), default=5, metavar="N", help="the longest n-grams (default: 5)")
    add(
        "--prune",
        type=number_in(0, 10**9, int),
        nargs="+",
        default=[],
        metavar="COUNT",
        help="for each order, leave out n-grams seen up to so often: 0 0 1",
    )
    add("--vocabulary", type=Path, metavar="FILE", help="words to know, one a line; the rest is unknown")
    add("--engine", choices=["auto", "s2s", "lmplz"], default="auto", help="(default: lmplz where it is installed)")
    return parser
