"""``sweep``: searches settings of a recipe, steered by Weights & Biases or on this machine alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.cli.arguments import VerbParser, count
from s2s_core.cli.configs import find_sweep
from s2s_core.cli.main import INTERRUPTED
from s2s_core.cli.tasks import TaskInfo
from s2s_core.errors import UserError
from s2s_core.sweeps.definition import Sweep, as_option, parse_sweep, read_sweep
from s2s_core.trust import allow_options, take_allowed

if TYPE_CHECKING:
    from typing import Any

LOCAL, WANDB = "local", "wandb"
DESCRIPTION = (
    "Search settings of a recipe. The YAML is Weights & Biases' own sweep format; its parameters are dotted keys of "
    "the config, its metric a logged figure, its command 'lightning run TASK fit --config NAME ${args}'. Keys of the "
    "config may follow; every run gets them: --trainer.max_epochs 2."
)


def main(task: TaskInfo, argv: list[str]) -> int:
    """Check, register and run a sweep; returns the exit status."""
    asked, keys = _parser(task).parse_known_args(argv)
    if asked.resume is not None and Path(asked.resume).is_dir():
        return _local(task, asked, keys)
    if asked.resume is not None and asked.config is None:
        from s2s_core.sweeps.wandb import check_path, require_client

        check_path(asked.resume)
        if keys:
            raise UserError(f"--resume: the runs of a registered sweep take no more keys, got {keys[0]}")
        require_client()
        return _agents(task, asked, asked.resume)
    if asked.resume is not None:
        raise UserError("--resume: the registered sweep is known by its path alone; leave --config out")
    if asked.backend == LOCAL:
        return _local(task, asked, keys)
    sweep, recipe = _read(task, asked, keys)
    if asked.dry_run:
        return _show(task, sweep, recipe, asked)
    from s2s_core.sweeps.wandb import register

    recipe = recipe if "--logger" in " ".join(recipe) else [*recipe, "--logger", "wandb"]
    path = register(sweep, task.name, recipe)
    print(f"sweep {path}", flush=True)
    return _agents(task, asked, path)


def _parser(task: TaskInfo) -> argparse.ArgumentParser:
    parser = VerbParser(prog=f"lightning run {task.name} sweep", description=DESCRIPTION)
    parser.add_argument("--config", metavar="FILE", help="the sweep: a YAML file, or the name of a packaged one")
    parser.add_argument("--count", type=count, metavar="N", help="the most runs (default: all of a grid)")
    parser.add_argument(
        "--agents", type=count, metavar="K", help="how many runs side by side (default: one a CUDA device, or one)"
    )
    parser.add_argument(
        "--backend", choices=[WANDB, LOCAL], default=WANDB, help="who chooses the runs (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="check the sweep, print its runs, start nothing")
    parser.add_argument("--resume", metavar="PATH", help="ENTITY/PROJECT/ID, or the folder of a local sweep")
    parser.add_argument("--output", type=Path, help="local: the sweep's folder (default: runs/sweeps/NAME)")
    parser.add_argument("--seed", type=int, default=1, help="local: of random search (default: %(default)s)")
    return parser


def _read(task: TaskInfo, asked: argparse.Namespace, keys: list[str]) -> tuple[Sweep, list[str]]:
    """The checked sweep, and the arguments of each run beside the searched ones."""
    if asked.config is None:
        raise UserError("--config: expected a sweep's YAML file, or the name of a packaged one")
    sweep = read_sweep(find_sweep(asked.config, task.config_home), task.name)
    recipe = [*sweep.recipe, *allow_options(), *keys]
    _check(sweep, task, recipe)
    return sweep, recipe


def _check(sweep: Sweep, task: TaskInfo, recipe: list[str]) -> None:
    for word in recipe:
        if word.partition("=")[0] in ("--output", "--ckpt_path"):
            raise UserError(f"{word.partition('=')[0]}: would be the same for all runs of the sweep; leave it out")
    from s2s_core.sweeps.checks import check_against_config

    check_against_config(sweep, task, take_allowed(recipe))


def _show(task: TaskInfo, sweep: Sweep, recipe: list[str], asked: argparse.Namespace) -> int:
    from s2s_core.sweeps.local import plan

    if sweep.method == "bayes":
        print("method bayes: W&B's server chooses each run by those before; the command is")
        print(" ".join(["lightning", "run", task.name, "fit", *recipe, "${args}"]))
        return 0
    shown = plan(sweep, asked.count or (10 if sweep.method == "random" and sweep.run_cap is None else None), asked.seed)
    if sweep.method == "random" and asked.backend == WANDB:
        print("examples, as W&B's server draws its own:", file=sys.stderr)
    for settings in shown:
        options = [as_option(key, value) for key, value in settings.items()]
        print(" ".join(["lightning", "run", task.name, "fit", *recipe, *options]))
    return 0


def _local(task: TaskInfo, asked: argparse.Namespace, keys: list[str]) -> int:
    from s2s_core.sweeps.local import LocalSweep, load_plan, plan, save_plan

    if asked.resume is not None:
        folder = Path(asked.resume)
        begun: dict[str, Any] = load_plan(folder)
        if begun["task"] != task.name:
            raise UserError(f"--resume {folder}: is a sweep of task '{begun['task']}'")
        if keys:
            raise UserError(f"--resume: the runs have their keys already, got {keys[0]}")
        sweep, recipe = parse_sweep(begun["sweep"], task.name), begun["recipe"]
        runs = plan(sweep, asked.count or begun["count"], begun["seed"])
    else:
        sweep, recipe = _read(task, asked, keys)
        folder = asked.output or Path("runs") / "sweeps" / Path(asked.config).with_suffix("").name
        runs = plan(sweep, asked.count, asked.seed)
    if asked.dry_run:
        return _show(task, sweep, recipe, asked)
    if asked.resume is None:
        begun = {"task": task.name, "sweep": sweep.content, "recipe": recipe, "count": asked.count, "seed": asked.seed}
        save_plan(folder, begun)
    local = LocalSweep(task.name, sweep, recipe, runs, folder, asked.agents)
    interrupted = local.run()
    print(local.report())
    if interrupted:
        print(f"\ninterrupted; go on with --resume {folder}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _agents(task: TaskInfo, asked: argparse.Namespace, path: str) -> int:
    from s2s_core.sweeps.wandb import run_agents

    interrupted, well = run_agents(path, asked.count, asked.agents)
    if interrupted:
        print(f"\ninterrupted; go on with: lightning run {task.name} sweep --resume {path}", file=sys.stderr)
        return INTERRUPTED
    return 0 if well else 1
