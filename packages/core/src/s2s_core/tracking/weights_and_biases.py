"""Weights & Biases beside the default logs: online where it can be reached, else offline, to be uploaded later."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from lightning.pytorch.loggers import WandbLogger

from s2s_core.errors import UserError
from s2s_core.tracking.wandb_client import client_settings, project_of, require_wandb

REACH_TIMEOUT_S = 3.0


@dataclass
class WandbRun:
    """How a run appears in Weights & Biases, with ``--logger wandb``; ``WANDB_*`` variables work too."""

    project: str | None = None
    """``s2s-TASK`` by default."""
    entity: str | None = None
    """The team or user; the account's own by default."""
    name: str | None = None
    """The run folder's name by default."""
    tags: list[str] | None = None
    mode: Literal["auto", "online", "offline"] = "auto"
    """``auto`` is online if somebody is logged in and the server answers, else offline."""
    checkpoints: bool = False
    """Whether checkpoints become artifacts: the best and the last, when the run ends. Only online."""


def wandb_logger(options: WandbRun, task: str, folder: Path) -> WandbLogger:
    """Start a run whose files go to ``folder``, and its logger.

    Raises:
        UserError: if wandb is not installed, if checkpoints are to be uploaded offline, or if the server does not take
            the run.
    """
    wandb = require_wandb("--logger wandb")
    reason = why_offline(options.mode)
    if reason and options.checkpoints:
        raise UserError(f"--wandb.checkpoints: {reason}, and offline runs cannot upload artifacts")
    if reason:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it would wait for a network in vain
    folder.mkdir(parents=True, exist_ok=True)
    logger = WandbLogger(
        project=project_of(options.project, task),
        entity=options.entity,
        name=options.name or folder.name,
        tags=options.tags,
        save_dir=folder,
        log_model=options.checkpoints,
        mode="offline" if reason else "online",
        # its console capture would take our progress lines apart, and what its own lines say is said below
        settings=wandb.Settings(silent=True, console="off"),
    )
    for setting in ("anonymous", "resume") if reason else ("anonymous",):
        logger._wandb_init.pop(setting, None)  # which wandb no longer takes, or not offline, without a warning
    try:
        run = logger.experiment
    except (wandb.Error, ValueError, OSError) as error:
        raise UserError(f"--logger wandb: {' '.join(str(error).split())}") from error
    if isinstance(run, wandb.Run):
        place = f"offline, as {reason}; 'wandb sync {Path(run.dir).parent}' uploads it" if reason else run.url
        print(f"Weights & Biases: {place}", file=sys.stderr)
    return logger


def why_offline(mode: str) -> str | None:
    """Why a run is not online; None if it is."""
    forced = os.environ.get("WANDB_MODE") if mode == "auto" else mode
    if forced in ("online", "shared"):
        return None
    if forced:
        return "it is set to be offline" if forced in ("offline", "dryrun") else f"WANDB_MODE is {forced}"
    api = client_settings()
    if api.api_key is None:
        return "nobody is logged in ('wandb login')"
    address = urlsplit(str(api.settings("base_url")))
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")):
        return None  # whether the proxy reaches it is the proxy's to say
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), REACH_TIMEOUT_S).close()
    except OSError:
        return f"{address.hostname} does not answer"
    return None


def log_setting(loggers: Iterable[Any], about: dict[str, Any], config: Path) -> None:
    """Tell Weights & Biases a run's whole config, which is in a file, its machine and its code's version."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_hyperparams({**yaml.safe_load(config.read_text(encoding="utf-8")), "s2s": about})


def in_sweep() -> bool:
    """Whether an agent of a sweep has started this process."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))


def sweep_folder() -> Path:
    """The folder of the sweep's run that this process is."""
    return Path("runs") / "sweeps" / os.environ["WANDB_SWEEP_ID"] / os.environ["WANDB_RUN_ID"]


def give_back(loggers: Iterable[Any]) -> None:
    """Let the sweep give an interrupted run to another agent, which goes on with it."""
    for logger in loggers:
        if isinstance(logger, WandbLogger) and in_sweep():
            logger.experiment.mark_preempting()
