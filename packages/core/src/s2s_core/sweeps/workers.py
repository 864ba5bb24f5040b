"""Processes of a sweep: one a device, each a group of its own, ended together by Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from s2s_core.errors import UserError

GRACE_S = 60.0
"""How long an interrupted run has to write its last checkpoint."""


def lightning_command() -> str:
    """The console script ``lightning`` of this environment.

    Raises:
        UserError: if it is not installed.
    """
    beside = Path(sys.executable).with_name("lightning")
    found = str(beside) if beside.is_file() else shutil.which("lightning")
    if found is None:
        raise UserError("sweep: the command 'lightning' is not beside this Python; install s2s-core with pip")
    return found


def devices() -> list[str]:
    """The CUDA devices that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; none on a CPU."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name and name != "-1"]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def environment_of(worker: int, workers: int, available: list[str]) -> dict[str, str]:
    """The environment of a worker: one device, or its share of the processor's cores; this Python's commands first."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    environment = {**os.environ, "PATH": os.pathsep.join(places)}
    if available:
        environment["CUDA_VISIBLE_DEVICES"] = available[worker % len(available)]
    elif "OMP_NUM_THREADS" not in environment:
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
    return environment


def start(command: list[str], environment: dict[str, str], output: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start a process that a terminal's Ctrl-C does not reach: `interrupt` passes it on, once."""
    errors = subprocess.STDOUT if output is not None else None
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )


def interrupt(processes: Iterable[subprocess.Popen[bytes]], grace_s: float = GRACE_S) -> None:
    """End processes as Ctrl-C does, with their children; those that do not end in time are killed."""
    alive = [process for process in processes if process.poll() is None]
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for process in alive:
            _send(process, stop)
        for process in alive:
            try:
                process.wait(grace_s)
            except subprocess.TimeoutExpired:
                continue
        alive = [process for process in alive if process.poll() is None]


def _send(process: subprocess.Popen[bytes], what: signal.Signals) -> None:
    try:
        os.killpg(process.pid, what)
    except ProcessLookupError:
        return
