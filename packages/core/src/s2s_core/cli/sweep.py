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
from s2s_core.sweeps.definition import Sweep, as_option, check_common, parse_sweep, read_sweep
from s2s_core.trust import allow_options, take_allowed

if TYPE_CHECKING:
    from typing import Any

    from s2s_core.sweeps.local import LocalSweep

LOCAL, WANDB = "local", "wandb"
SEED = 1
EXAMPLES = 10
DESCRIPTION = (
    "Search settings of a recipe. The YAML is Weights & Biases' own sweep format; its parameters are dotted keys of "
    "the config, its metric a logged figure, its command 'lightning run TASK fit --config NAME ${args}'. Keys of the "
    "config may follow; every run gets them: --trainer.max_epochs 2."
)


def main(task: TaskInfo, argv: list[str]) -> int:
    """Check, register and run a sweep; returns the exit status."""
    asked, keys = _parser(task).parse_known_args(argv)
    if asked.resume is not None:
        return _resume(task, asked, keys)
    sweep, recipe = _read(task, asked, keys)
    if asked.dry_run:
        return _dry_run(task, sweep, recipe, asked)
    if asked.backend == LOCAL:
        return _begin(task, sweep, recipe, asked)
    from s2s_core.sweeps.wandb import register

    logs = any(word.partition("=")[0] == "--logger" for word in recipe)
    path = register(sweep, task.name, recipe if logs else [*recipe, "--logger", "wandb"])
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
    parser.add_argument("--seed", type=int, help=f"local: of random search (default: {SEED})")
    return parser


def _read(task: TaskInfo, asked: argparse.Namespace, keys: list[str]) -> tuple[Sweep, list[str]]:
    """The checked sweep, and the arguments of each run beside the searched ones."""
    if asked.config is None:
        raise UserError("--config: expected a sweep's YAML file, or the name of a packaged one")
    sweep = read_sweep(find_sweep(asked.config, task.config_home), task.name)
    recipe = [*sweep.recipe, *allow_options(), *keys]
    check_common(keys)
    from s2s_core.sweeps.checks import check_against_config

    check_against_config(sweep, task, take_allowed(recipe))
    return sweep, recipe


def _resume(task: TaskInfo, asked: argparse.Namespace, keys: list[str]) -> int:
    for option, value in (("--config", asked.config), ("--seed", asked.seed), ("--output", asked.output)):
        if value is not None:
            raise UserError(f"--resume: the sweep has its own {option} already; leave it out")
    if keys:
        raise UserError(f"--resume: the runs have their keys already, got {keys[0]}")
    folder = Path(asked.resume)
    if folder.is_dir():
        return _go_on(task, asked, folder)
    beside_others = folder.parent != Path() and folder.parent.is_dir()  # misspelt, then, and no ENTITY/PROJECT/ID
    if asked.backend == LOCAL or beside_others:
        raise UserError(f"--resume {asked.resume}: no such folder; expected that of a local sweep")
    from s2s_core.sweeps.wandb import check_path, require_client

    check_path(asked.resume)
    if asked.dry_run:
        raise UserError("--dry-run: the runs of a registered sweep are the server's")
    require_client()
    return _agents(task, asked, asked.resume)


def _dry_run(task: TaskInfo, sweep: Sweep, recipe: list[str], asked: argparse.Namespace) -> int:
    from s2s_core.sweeps.local import plan

    drawn = asked.backend == WANDB and sweep.method == "random"
    if asked.backend == WANDB and sweep.method == "bayes":
        print("method bayes: W&B's server chooses each run by those before; the command is")
        print(" ".join(["lightning", "run", task.name, "fit", *recipe, "${args}"]))
        return 0
    count = EXAMPLES if drawn and sweep.run_cap is None and asked.count is None else asked.count
    runs = plan(sweep, count, _seed(asked))
    if drawn:
        print("examples, as W&B's server draws its own:", file=sys.stderr)
    return _show(task, recipe, runs)


def _show(task: TaskInfo, recipe: list[str], runs: list[dict[str, Any]]) -> int:
    for settings in runs:
        options = [as_option(key, value) for key, value in settings.items()]
        print(" ".join(["lightning", "run", task.name, "fit", *recipe, *options]))
    return 0


def _begin(task: TaskInfo, sweep: Sweep, recipe: list[str], asked: argparse.Namespace) -> int:
    from s2s_core.sweeps.local import LocalSweep, plan, save_plan

    folder = asked.output or Path("runs") / "sweeps" / Path(asked.config).with_suffix("").name
    runs = plan(sweep, asked.count, _seed(asked))
    begun = {"task": task.name, "sweep": sweep.content, "recipe": recipe, "count": asked.count, "seed": _seed(asked)}
    save_plan(folder, begun)
    return _run(LocalSweep(task.name, sweep, recipe, runs, folder, asked.agents))


def _go_on(task: TaskInfo, asked: argparse.Namespace, folder: Path) -> int:
    from s2s_core.sweeps.local import LocalSweep, load_plan, plan

    begun: dict[str, Any] = load_plan(folder)
    if begun["task"] != task.name:
        raise UserError(f"--resume {folder}: is a sweep of task '{begun['task']}'")
    sweep, recipe = parse_sweep(begun["sweep"], task.name), begun["recipe"]
    runs = plan(sweep, asked.count or begun["count"], begun["seed"])
    if asked.dry_run:
        return _show(task, recipe, runs)
    return _run(LocalSweep(task.name, sweep, recipe, runs, folder, asked.agents))


def _run(local: LocalSweep) -> int:
    interrupted = local.run()
    print(local.report())
    if interrupted:
        print(f"\ninterrupted; go on with --resume {local.folder}", file=sys.stderr)
        return INTERRUPTED
    return 1 if local.failed() else 0


def _seed(asked: argparse.Namespace) -> int:
    return SEED if asked.seed is None else asked.seed


def _agents(task: TaskInfo, asked: argparse.Namespace, path: str) -> int:
    from s2s_core.sweeps.wandb import run_agents

    interrupted, well = run_agents(path, asked.count, asked.agents)
    if interrupted:
        print(f"\ninterrupted; go on with: lightning run {task.name} sweep --resume {path}", file=sys.stderr)
        return INTERRUPTED
    return 0 if well else 1
