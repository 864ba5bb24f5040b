"""From nothing to generated text: makes stories, trains on them, tests, generates, and shows the commands it runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.quickstart import best_of, free_folder, show_and_run

STORIES = {"train": 4000, "valid": 200, "test": 200}


def main(argv: Sequence[str]) -> int:
    """Run the whole path once; returns the exit status."""
    parser = VerbParser(prog="lightning run lm quickstart", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/lm-quickstart"), help="folder (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the text and of the training (default: %(default)s)")
    options, overrides = parser.parse_known_args(argv)
    from s2s_lm.cli import TASK
    from s2s_lm.made_up import story

    text, data = options.output / "text", options.output / "data"
    draw = random.Random(options.seed)
    text.mkdir(parents=True, exist_ok=True)
    for split, count in STORIES.items():
        (text / f"{split}.txt").write_text("".join(f"{story(draw)}\n" for _ in range(count)), encoding="utf-8")
    run = free_folder(options.output)
    show_and_run(TASK, "prepare", "text", f"--input={text}", f"--output={data}", "--overwrite")
    vocabulary = f"--model.init_args.tokenizer.init_args.vocab_file={data / 'vocab.txt'}"
    files = [f"--data.{split}={data / f'{split}.arrow'}" for split in ("train", "validation", "test")]
    seed = f"--seed_everything={options.seed}"
    show_and_run(TASK, "fit", "--config", "quickstart", vocabulary, *files, f"--output={run}", seed, *overrides)
    best = best_of(run)
    show_and_run(TASK, "test", f"--ckpt_path={best}")
    prompt = "anna found a red map in the garden ."
    show_and_run(TASK, "generate", f"--checkpoint={best}", "--one-line", "--temperature=0.8", prompt)
    arpa = options.output / "3-gram.arpa"
    show_and_run(TASK, "ngram", str(text / "train.txt"), "--order=3", f"--output={arpa}")
    show_and_run(TASK, "score", f"--checkpoint={arpa}", "--total", str(text / "test.txt"))
    return 0
