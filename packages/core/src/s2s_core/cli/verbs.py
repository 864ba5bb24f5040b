"""The verbs that every task has."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.configs import describe_config, find_packaged, packaged_configs
from s2s_core.cli.output import output_file
from s2s_core.cli.tasks import TaskInfo

COMMON_HELP = """
  --config NAME        a packaged config (see 'configs') or a YAML file; more of them stack, the last wins
  --ckpt_path FILE     {ckpt}
  --KEY VALUE          any key of the config: --trainer.max_epochs 3, --data.batch_seconds 60,
                       --model.init_args.optimizer.init_args.lr 0.01
  --allow-class PREFIX let configs and checkpoints name classes of other packages, too: yours
  --print_config       print the config as it would be used, and stop
  --help-keys          every key with its type and default (takes a few seconds)
"""

HELP = {
    "fit": (
        "Train. Writes checkpoints, TensorBoard and CSV logs and the config to a run folder.",
        "go on from a checkpoint exactly where it stopped; 'last' is the run folder's newest",
        "  --output DIR         the run folder (default: runs/NAME of the last config, overlays aside)\n"
        "  --logger wandb       Weights & Biases beside TensorBoard and CSV; --wandb.project NAME,\n"
        "                       --wandb.checkpoints true\n"
        "  --init_from FILE     start from a checkpoint's weights where name and shape match (fine-tuning)",
    ),
    "validate": ("Measure a checkpoint on its validation set.", "the checkpoint; it holds model and data settings", ""),
    "test": ("Measure a checkpoint on its test set.", "the checkpoint; it holds model and data settings", ""),
    "predict": (
        "Write what a checkpoint makes of a manifest, one JSON object a line, in the manifest's order.",
        "the checkpoint; it holds model and data settings",
        "  --output FILE        where to write (default: standard output)",
    ),
}


def fit(task: TaskInfo, argv: list[str]) -> int:
    """Train a task; returns the exit status."""
    if _helped("fit", task, argv):
        return 0
    from s2s_core.cli.runs import train

    return train(task, argv)


def validate(task: TaskInfo, argv: list[str]) -> int:
    """Measure a checkpoint on the validation set."""
    return evaluate("validate", task, argv)


def test(task: TaskInfo, argv: list[str]) -> int:
    """Measure a checkpoint on the test set."""
    return evaluate("test", task, argv)


def predict(task: TaskInfo, argv: list[str]) -> int:
    """Write a checkpoint's outputs as JSON lines."""
    if _helped("predict", task, argv):
        return 0
    output, argv = _take_option(argv, "--output")
    path = None if output is None else output_file("--output", output)
    from s2s_core.cli.runs import evaluation, gathered

    with evaluation(task, argv) as (cli, checkpoint):
        batches = cli.trainer.predict(cli.model, datamodule=cli.datamodule, ckpt_path=checkpoint, weights_only=True)
        rows = gathered([row for batch in batches or [] for row in batch])
    if not cli.trainer.is_global_zero:
        return 0
    rows = _in_order(rows, cli.datamodule.predict_ids())
    if path is None:
        _write_rows(rows, sys.stdout)
    else:
        with path.open("w", encoding="utf-8") as file:
            _write_rows(rows, file)
    return 0


def configs(task: TaskInfo, argv: list[str]) -> int:
    """List the packaged configs, one line each."""
    parser = VerbParser(prog=f"lightning run {task.name} configs", description="List the packaged configs.")
    parser.add_argument("name", nargs="?", help="print this config instead")
    wanted = parser.parse_args(argv).name
    found = packaged_configs(task.config_home)
    if wanted is not None:
        print(find_packaged(wanted, task.config_home, "not a packaged config").read_text(encoding="utf-8"), end="")
        return 0
    width = max((len(name) for name in found), default=0)
    for name, path in sorted(found.items(), key=lambda item: item[0].startswith("overlays/")):  # recipes first
        print(f"{name:<{width}}  {describe_config(path)}")
    return 0


def bench(task: TaskInfo, argv: list[str]) -> int:
    """Measure training speed."""
    from s2s_core.cli.bench import main

    return main(task, argv)


def evaluate(
    verb: str,
    task: TaskInfo,
    argv: list[str],
    prepare: Callable[[Any, Any], None] | None = None,
    options: VerbParser | None = None,
) -> int:
    """Measure a checkpoint.

    Args:
        verb: ``validate`` or ``test``.
        argv: what ``options`` left.
        prepare: is shown model and device before.
        options: those of the task's own, for the help.
    """
    if _helped(verb, task, argv):
        if options is not None and "--help-keys" not in argv:
            print("\n" + options.format_help().partition("\n\n")[2].rstrip())
        return 0
    from s2s_core.cli.runs import evaluation

    with evaluation(task, argv) as (cli, checkpoint):
        if prepare is not None:
            prepare(cli.model, cli.trainer.strategy.root_device)
        run = getattr(cli.trainer, verb)
        results: list[dict[str, Any]] = run(
            cli.model, datamodule=cli.datamodule, ckpt_path=checkpoint, weights_only=True, verbose=False
        )
    if cli.trainer.is_global_zero:
        print(json.dumps({key: round(value, 6) for row in results for key, value in row.items()}))
    return 0


def _helped(verb: str, task: TaskInfo, argv: list[str]) -> bool:
    if "--help-keys" in argv:
        _print_keys(verb, task)
        return True
    if argv and "-h" not in argv and "--help" not in argv:
        return False
    about, checkpoint, more = HELP[verb]
    print(
        f"usage: lightning run {task.name} {verb} [--config NAME ...] [--ckpt_path FILE] [--KEY VALUE ...]\n\n{about}"
    )
    print(COMMON_HELP.format(ckpt=checkpoint).rstrip())
    if more:
        print(more)
    return True


def _print_keys(verb: str, task: TaskInfo) -> None:
    from s2s_core.cli.runs import key_parser

    key_parser(task, trains=verb == "fit").print_help()


def _take_option(argv: list[str], name: str) -> tuple[str | None, list[str]]:
    parser = VerbParser(add_help=False)
    parser.add_argument(name, dest="value")
    known, rest = parser.parse_known_args(argv)
    return known.value, rest


def _in_order(rows: list[dict[str, Any]], ids: list[str]) -> list[dict[str, Any]]:
    # batches are formed by length; whoever reads the output expects the manifest's order
    place = {name: number for number, name in enumerate(ids)}
    return sorted(rows, key=lambda row: place[row["id"]])


def _write_rows(rows: Any, file: Any) -> None:
    for row in rows:
        print(json.dumps(row, ensure_ascii=False), file=file)
