"""Runs: where they keep their files, how they start, go on, end and are measured."""

from __future__ import annotations

import argparse
import atexit
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser
from torch import distributed

from s2s_core.checkpoint import SECTION, assets_of, check_task, check_trusted, load_matching, read_checkpoint
from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.configs import CORE_PACKAGE, resolve_config_arguments
from s2s_core.cli.lightning_cli import RUN_CONFIG, TaskCLI
from s2s_core.cli.main import INTERRUPTED
from s2s_core.cli.slow_half import slow_half_note
from s2s_core.cli.tasks import TaskInfo, installed_tasks
from s2s_core.errors import UserError
from s2s_core.strategies.restart import renew_store
from s2s_core.tracking.weights_and_biases import give_back, in_sweep, sweep_folder

LAST = "last"
NOTES_SHOWN = 20
OVERLAYS = "overlays/"
"""Configs that change how a recipe is computed: they do not name its run."""


def train(task: TaskInfo, argv: list[str]) -> int:
    """Train as the arguments say; returns the exit status."""
    _begin()
    resolved = resolve_config_arguments(argv, task.config_home)
    asked = _peek(argv)
    folder = _run_folder(asked)
    checkpoint = _resume_point(asked, folder)
    only_shown = any(word.startswith("--print_config") for word in argv)
    if checkpoint is None and not only_shown and not _restarted() and any(folder.glob("checkpoints/*")):
        raise UserError(f"'{folder}' already holds a run: go on with --ckpt_path last, or choose another --output")
    assets: dict[str, bytes] = {}
    if checkpoint is not None:
        content = read_checkpoint(checkpoint)
        check_task(content, checkpoint, task.name)
        assets = assets_of(content)
        del content  # the trainer reads it again, once there is something to put it into
        if not asked.config and (folder / RUN_CONFIG).is_file():
            resolved = ["--config", str(folder / RUN_CONFIG), *resolved]
    cli = TaskCLI(task, [*resolved, f"--output={folder}"], trains=True)
    if cli.config["init_from"] is not None:
        _start_from(cli, cli.config["init_from"], task)
    cli.model.load_assets(assets)  # the files that they came from may be gone
    _announce(cli, folder, checkpoint)
    try:
        with _user_errors():
            cli.trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=checkpoint)
    except SystemExit:
        if not cli.trainer.interrupted:
            raise
        if cli.trainer.is_global_zero:
            give_back(cli.trainer.loggers)
            print(f"\ninterrupted at step {cli.trainer.global_step}; go on with --ckpt_path last", file=sys.stderr)
        return INTERRUPTED
    _conclude(cli, folder)
    return 0


@contextmanager
def evaluation(task: TaskInfo, argv: list[str]) -> Iterator[tuple[TaskCLI, str]]:
    """Build a checkpoint's task, its data as trained with unless the arguments say otherwise, and a trainer."""
    _begin()
    resolved = resolve_config_arguments(argv, task.config_home)
    asked = _peek(argv)
    if asked.ckpt_path is None:
        raise UserError("--ckpt_path: expected the checkpoint to measure")
    path = str(_run_folder(asked) / "checkpoints" / "last.ckpt") if asked.ckpt_path == LAST else asked.ckpt_path
    checkpoint = read_checkpoint(path)
    check_task(checkpoint, path, task.name)
    section = checkpoint[SECTION]
    check_trusted([section["spec"], section.get("data")], f"checkpoint '{path}'")
    built_in = [f"--model={json.dumps(section['spec'])}"]
    if section.get("data") is not None:
        built_in.append(f"--data={json.dumps(section['data'])}")
    cli = TaskCLI(task, [*built_in, *resolved], trains=False)
    cli.model.load_assets(assets_of(checkpoint))
    with _user_errors():
        yield cli, path


def gathered(rows: list[Any]) -> list[Any]:
    """The rows of all processes; the same on each of them."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, rows)
    return [row for part in parts for row in part]


def key_parser(task: TaskInfo, trains: bool) -> LightningArgumentParser:
    """The parser of every key, for its help."""

    class Keys(TaskCLI):
        def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
            raise _ParserReadyError(parser)

    try:
        Keys(task, [], trains)
    except _ParserReadyError as ready:
        return ready.parser
    raise AssertionError("the parser is set up before anything is parsed")


class _ParserReadyError(Exception):
    def __init__(self, parser: LightningArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def _peek(argv: list[str]) -> argparse.Namespace:
    parser = VerbParser(add_help=False)
    parser.add_argument("--config", "-c", action="append", default=[])
    parser.add_argument("--output")
    parser.add_argument("--ckpt_path")
    known, known.others = parser.parse_known_args(argv)
    return known


def _run_folder(asked: argparse.Namespace) -> Path:
    if asked.output is not None:
        return Path(asked.output)
    if in_sweep():
        return sweep_folder()
    if asked.config:
        recipes = [name for name in asked.config if not name.startswith(OVERLAYS)]
        return Path("runs") / Path((recipes or asked.config)[-1]).with_suffix("").name
    if asked.ckpt_path not in (None, LAST):
        return Path(asked.ckpt_path).parent.parent
    for word in asked.others:
        if near := get_close_matches(word.partition("=")[0], ("--config", "--ckpt_path"), n=1, cutoff=0.7):
            raise UserError(f"unknown option '{word}'; did you mean '{near[0]}'?")
    raise UserError("--config: expected the name of a packaged config or a file; list them with 'configs'")


def _resume_point(asked: argparse.Namespace, folder: Path) -> Path | None:
    path = folder / "checkpoints" / "last.ckpt"
    if _restarted() and path.is_file():
        return path
    if asked.ckpt_path is None or (_restarted() and asked.ckpt_path == LAST):
        return None
    if asked.ckpt_path != LAST:
        return Path(asked.ckpt_path)
    if not path.is_file():
        raise UserError(f"--ckpt_path last: '{path}' does not exist; nothing to go on from")
    return path


def _restarted() -> bool:
    """Whether torchrun, SLURM or a sweep may have started this same run before: it goes on from wherever it got to."""
    return in_sweep() or any(
        os.environ.get(name, "0") != "0" for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    )


def _start_from(cli: TaskCLI, path: str, task: TaskInfo) -> None:
    checkpoint = read_checkpoint(path)
    check_task(checkpoint, path, task.name)
    notes = load_matching(cli.model, checkpoint["state_dict"])
    print(f"weights from {path}; {len(notes)} of them do not match", file=sys.stderr)
    for note in notes[:NOTES_SHOWN]:
        print(f"  {note}", file=sys.stderr)
    if len(notes) > NOTES_SHOWN:
        print(f"  and {len(notes) - NOTES_SHOWN} more", file=sys.stderr)


def _announce(cli: TaskCLI, folder: Path, checkpoint: Path | None) -> None:
    if not cli.trainer.is_global_zero:
        return
    count = sum(p.numel() for p in cli.model.parameters())
    device = torch.cuda.get_device_name() if cli.trainer.strategy.root_device.type == "cuda" else "CPU"
    size = f"{count / 1e6:.1f} M parameters"
    print(f"{size}; {cli.trainer.world_size} x {device}, {cli.trainer.precision}; run folder {folder}", file=sys.stderr)
    note = slow_half_note(str(cli.trainer.precision), cli.trainer.strategy.root_device)
    if note is not None:
        print(note, file=sys.stderr)
    if checkpoint is not None:
        print(f"going on from {checkpoint}", file=sys.stderr)


def _conclude(cli: TaskCLI, folder: Path) -> None:
    if not cli.trainer.is_global_zero:
        return
    for callback in cli.trainer.checkpoint_callbacks:
        score = getattr(callback, "best_model_score", None)
        if score is not None:
            print(f"best {callback.monitor} {float(score):.4f}: {callback.best_model_path}", file=sys.stderr)  # type: ignore[attr-defined]
        elif getattr(callback, "monitor", None) is not None:
            print(f"{callback.monitor} was never measured: there is last.ckpt, but no best.ckpt", file=sys.stderr)  # type: ignore[attr-defined]
    print(f"done after {cli.trainer.global_step} steps; run folder {folder}", file=sys.stderr)


@contextmanager
def _user_errors() -> Iterator[None]:
    try:
        yield
    except MisconfigurationException as error:
        raise UserError(" ".join(str(error).split())) from error


def _begin() -> None:
    quiet_lightning()
    renew_store()
    atexit.register(_leave_process_group)


def _leave_process_group() -> None:
    # Lightning does so for NCCL; Gloo's threads, where the interpreter ends before them, can wait for it for ever
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def quiet_lightning() -> None:
    """Keep Lightning to warnings, and let the toolkit's own packages speak plainly on standard error."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    for package in (task.package for task in installed_tasks().values()):
        logging.getLogger(package).setLevel(logging.INFO)
    logging.getLogger(CORE_PACKAGE).setLevel(logging.INFO)
    # its start-up lines repeat what _announce says, and its tips advertise
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*litlogger.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    # the figures of an evaluation are totals over all processes already
    warnings.filterwarnings("ignore", message=".*recommended to use `self.log.*sync_dist=True.*")
    warnings.filterwarnings("ignore", message=".*could not find the monitored key.*")  # _conclude says it once
    warnings.filterwarnings("ignore", message=".*callbacks used to create the checkpoint.*")
    warnings.filterwarnings("ignore", message=".*WeightAveraging callback, but loading a checkpoint outside.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*number of training batches.*smaller than the logging interval.*")
