"""Where a run ran: what a reader of its figures needs to know of machine, software and code."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from s2s_core import __version__
from s2s_core.cores import usable_cores
from s2s_core.nn.processor import processor_name

MACHINE = "machine.json"
PACKAGES = ("torch", "lightning", "torchaudio", "torchvision", "lhotse", "deepspeed", "numpy")


def describe_machine() -> dict[str, Any]:
    """Processor, memory, devices, versions, the code's commit and the command, as plain data."""
    import torch

    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "s2s": __version__,
        "commit": code_version(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor_name(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "memory_gb": _memory_gb(),
        "devices": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def code_version() -> str | None:
    """The commit of the repository that this package lies in, ``-dirty`` if files differ; None outside a repository."""
    folder = Path(__file__).parent
    if "site-packages" in folder.parts:  # an environment may lie in somebody else's repository
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.strip() or None


def write_machine(folder: Path) -> dict[str, Any]:
    """Write ``machine.json`` to a run's folder, whole or not at all; returns what `describe_machine` says.

    A run that goes on keeps that of its earlier starts under ``before``.
    """
    path = folder / MACHINE
    about = describe_machine()
    content = dict(about)
    if before := read_machine(folder):
        content["before"] = [*before.pop("before", []), before]
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
    return about


def read_machine(folder: Path) -> dict[str, Any]:
    """What `write_machine` wrote to a run's folder; empty if there is none, or none that is whole."""
    try:
        content = json.loads((folder / MACHINE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
