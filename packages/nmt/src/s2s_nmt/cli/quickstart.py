"""From nothing to a translation: makes sentences, trains on them, tests, translates, and shows the commands it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.quickstart import best_of, prepare_fit_test

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
    from s2s_nmt.cli import TASK

    corpus = options.output / "data"
    run = prepare_fit_test(
        TASK,
        options.output,
        options.seed,
        ["synthetic", f"--seed={options.seed}"],
        overrides,
        files="{split}.arrow",
        keys=[f"--model.init_args.source_tokenizer.init_args.model_file={corpus / 'vocabulary.model'}"],
    )
    _show_translations(best_of(run), corpus / "test.arrow")
    print(f"\nyours next: lightning run nmt translate --checkpoint {best_of(run)} FILE")
    return 0


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
