"""What the quickstarts of all tasks do alike: run a task's own verbs before the reader's eyes."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from s2s_core.cli.tasks import TaskInfo
from s2s_core.errors import UserError


def free_folder(output: Path) -> Path:
    """A folder for another run."""
    number = 1
    while (output / f"run{number}").exists():
        number += 1
    return output / f"run{number}"


def show_and_run(task: TaskInfo, *arguments: str) -> None:
    """Print a command and run it.

    Raises:
        UserError: if it fails.
    """
    from s2s_core.cli.main import run_task

    print(f"\n$ lightning run {task.name} {shlex.join(arguments)}", flush=True)
    status = run_task(task, list(arguments), f"lightning run {task.name}")
    if status:
        raise UserError(f"the command above ended with status {status}")


def prepare_fit_test(
    task: TaskInfo,
    output: Path,
    seed: int,
    prepare: Sequence[str],
    overrides: Sequence[str],
    files: str = "{split}.jsonl.gz",
    keys: Sequence[str] = (),
) -> Path:
    """Make a corpus in ``output/data`` unless it is there, train the packaged config ``quickstart`` on it, and test.

    Args:
        task: whose verbs are run.
        output: folder of the corpus and of all runs.
        seed: of the training.
        prepare: arguments of ``prepare``, but for its output.
        overrides: what the user typed besides.
        files: what ``prepare`` calls a split.
        keys: of the config, that point into the corpus.

    Returns:
        the folder of the new run, whose best checkpoint is `best_of` it.
    """
    corpus, run = output / "data", free_folder(output)
    paths = {split: corpus / files.format(split=split) for split in ("train", "validation", "test")}
    if not paths["train"].is_file():
        corpora, *options = prepare
        show_and_run(task, "prepare", corpora, f"--output={corpus}", *options, "--overwrite")
    data = [f"--data.{split}={path}" for split, path in paths.items()]
    began = time.monotonic()
    chosen = (*keys, f"--output={run}", f"--seed_everything={seed}", *overrides)
    show_and_run(task, "fit", "--config", "quickstart", *data, *chosen)
    trained_s = time.monotonic() - began
    show_and_run(task, "test", f"--ckpt_path={best_of(run)}")
    print(f"trained in {trained_s:.0f} s")
    return run


def best_of(run: Path) -> Path:
    """The best checkpoint of a run's folder; the last where the user cut training short of its first validation."""
    best, last = (run / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    return last if last.exists() and not best.exists() else best
