"""A sweep that Weights & Biases steers: registered there, run by its own agents here, one a device."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from s2s_core.errors import UserError
from s2s_core.sweeps.definition import ARGS, Sweep
from s2s_core.sweeps.workers import devices, environment_of, interrupt, start
from s2s_core.tracking.wandb_client import client_settings, project_of, require_wandb

POLL_S = 0.2
OTHERWISE = ", or use --backend local"
PATH = re.compile(r"[^/\s]+/[^/\s]+/[^/\s]+")


def require_client() -> Any:
    """The module ``wandb``.

    Raises:
        UserError: if it is not installed, or nobody is logged in.
    """
    wandb = require_wandb("sweep", OTHERWISE)
    api_key = client_settings().api_key
    wandb.teardown()
    if api_key is None:
        raise UserError(f"sweep: nobody is logged in to Weights & Biases: run 'wandb login'{OTHERWISE}")
    return wandb


def register(sweep: Sweep, task: str, recipe: list[str]) -> str:
    """Register the sweep; returns ENTITY/PROJECT/ID.

    Raises:
        UserError: if the server refuses or cannot be reached.
    """
    wandb = require_client()
    # any agent on any machine with the package may run this command; fit chooses the run's folder by its id
    command = ["${env}", "lightning", "run", task, "fit", *recipe, ARGS]
    content = {**sweep.content, "command": command, "program": "lightning"}
    project = project_of(content.get("project"), task)
    api = client_settings()
    try:
        sweep_id, warnings = api.upsert_sweep(content, project=project, entity=content.get("entity"))
        # upsert_sweep leaves entity and project as the server names them in the settings
        path = f"{api.settings('entity')}/{api.settings('project')}/{sweep_id}"
    except (wandb.Error, ValueError) as error:
        raise UserError(f"sweep: Weights & Biases did not take it: {' '.join(str(error).split())}") from error
    finally:
        wandb.teardown()  # its helper process; left to the interpreter's end, it is waited for after Ctrl-C
    for warning in warnings:
        print(f"W&B: {warning}", file=sys.stderr)
    return path


def check_path(path: str) -> str:
    """ENTITY/PROJECT/ID, as given to ``--resume``.

    Raises:
        UserError: if it is not of that form.
    """
    if not PATH.fullmatch(path):
        raise UserError(f"--resume {path}: expected ENTITY/PROJECT/ID as in the sweep's address")
    return path


def run_agents(path: str, count: int | None, agents: int | None) -> tuple[bool, bool]:
    """Start agents and wait for them; returns whether they were interrupted, and whether all ended well.

    Args:
        path: ENTITY/PROJECT/ID.
        count: the most runs of all agents together; until the sweep ends if None.
        agents: how many; one a device if None.
    """
    available = devices()
    wanted = agents or max(1, len(available))
    shares = _shares(count, wanted)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for worker, share in enumerate(shares):
            command = [sys.executable, "-m", "wandb", "agent", "--forward-signals"]
            command += ["--count", str(share)] if share is not None else []
            environment = environment_of(worker, len(shares), available)
            environment.setdefault("WANDB_DIR", str(Path.cwd()))
            processes.append(start([*command, path], environment, None))
        while any(process.poll() is None for process in processes):
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return True, False
    finally:
        interrupt(processes)
    return False, all(process.returncode == 0 for process in processes)


def _shares(count: int | None, agents: int) -> list[int | None]:
    if count is None:
        return [None] * agents
    agents = min(agents, count)
    return [count // agents + (worker < count % agents) for worker in range(agents)]
