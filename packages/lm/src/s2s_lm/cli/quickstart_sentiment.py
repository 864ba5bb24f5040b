"""From nothing to a classified text: makes reviews, trains on them, tests, classifies, and shows the commands."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.quickstart import best_of, free_folder, show_and_run

REVIEWS = {"train": 3000, "validation": 300, "test": 300}


def main(argv: Sequence[str]) -> int:
    """Run the whole path once; returns the exit status."""
    parser = VerbParser(prog="lightning run sentiment quickstart", description=__doc__)
    default = Path("runs/sentiment-quickstart")
    parser.add_argument("--output", type=Path, default=default, help="folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the text and of the training (default: %(default)s)")
    options, overrides = parser.parse_known_args(argv)
    from s2s_lm.cli.sentiment import TASK
    from s2s_lm.made_up import review

    text, data = options.output / "text", options.output / "data"
    draw = random.Random(options.seed)
    text.mkdir(parents=True, exist_ok=True)
    for split, count in REVIEWS.items():
        with (text / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *(review(draw) for _ in range(count))])
    run = free_folder(options.output)
    show_and_run(TASK, "prepare", "csv", f"--input={text}", f"--output={data}", "--overwrite")
    vocabulary = f"--model.init_args.tokenizer.init_args.vocab_file={data / 'vocab.txt'}"
    files = [f"--data.{split}={data / f'{split}.arrow'}" for split in ("train", "validation", "test")]
    seed = f"--seed_everything={options.seed}"
    show_and_run(TASK, "fit", "--config", "quickstart", vocabulary, *files, f"--output={run}", seed, *overrides)
    best = best_of(run)
    show_and_run(TASK, "test", f"--ckpt_path={best}")
    texts = ["--text=the film is not dull at all .", "--text=in the end the story is never warm but tired ."]
    show_and_run(TASK, "classify", f"--checkpoint={best}", *texts)
    return 0
