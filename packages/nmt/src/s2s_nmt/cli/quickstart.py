"""From nothing to a translation: makes sentences, trains on them, tests, translates, and shows the commands it runs."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.errors import UserError

SHOWN = 8
"""Sentences that are translated before the reader's eyes."""


def main(argv: Sequence[str]) -> int:
    """Run the whole path once; returns the exit status."""
    parser = VerbParser(prog="lightning run nmt quickstart", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/quickstart-nmt"), help="folder (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of sentences and training (default: %(default)s)")
    options, overrides = parser.parse_known_args(argv)
    corpus = options.output / "data"
    run = _free_folder(options.output)
    if not (corpus / "train.arrow").is_file():
        _lightning("prepare", "synthetic", f"--output={corpus}", f"--seed={options.seed}", "--overwrite")
    files = [f"--data.{split}={corpus / f'{split}.arrow'}" for split in ("train", "validation", "test")]
    vocabulary = f"--model.init_args.source_tokenizer.init_args.model_file={corpus / 'vocabulary.model'}"
    seed = f"--seed_everything={options.seed}"
    began = time.monotonic()
    _lightning("fit", "--config", "quickstart", *files, vocabulary, f"--output={run}", seed, *overrides)
    trained_s = time.monotonic() - began
    checkpoint = run / "checkpoints" / "best.ckpt"
    _lightning("test", f"--ckpt_path={checkpoint}")
    print(f"trained in {trained_s:.0f} s")
    _show_translations(checkpoint, corpus / "test.arrow")
    print(f"\nyours next: lightning run nmt translate --checkpoint {checkpoint} FILE")
    return 0


def _free_folder(output: Path) -> Path:
    number = 1
    while (output / f"run{number}").exists():
        number += 1
    return output / f"run{number}"


def _lightning(*arguments: str) -> None:
    from s2s_core.cli.main import run_task
    from s2s_nmt.cli import TASK

    print(f"\n$ lightning run nmt {shlex.join(arguments)}", flush=True)
    status = run_task(TASK, list(arguments), "lightning run nmt")
    if status:
        raise UserError(f"the command above ended with status {status}")


def _show_translations(checkpoint: Path, file: Path) -> None:
    from s2s_core.data.text import TextTable
    from s2s_nmt.translate import Translator

    translator = Translator.load(checkpoint)
    table = TextTable([file])
    rows = range(0, len(table), max(1, len(table) // SHOWN))[:SHOWN]
    sources = [table.text("source", row) for row in rows]
    print(f"\n{len(sources)} sentences of the test set, translated from Python with s2s_nmt.Translator:")
    began = time.monotonic()
    results = translator.translate(sources)
    elapsed_s = time.monotonic() - began
    for row, result in zip(rows, results, strict=True):
        print(f"  source      {result.source}")
        print(f"  reference   {table.text('target', row)}\n  hypothesis  {result.text}")
    print(f"{len(sources) / elapsed_s:.1f} sentences/s")
