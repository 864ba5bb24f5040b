"""Tasks: what an installed package offers to the command line, described without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

from s2s_core.errors import UserError

ENTRY_POINT_GROUP = "s2s.tasks"

PACKAGE_OF = {
    "asr": "s2s-asr",
    "tts": "s2s-tts",
    "vocoder": "s2s-tts",
    "nmt": "s2s-nmt",
    "lm": "s2s-lm",
    "sentiment": "s2s-lm",
    "commands": "s2s-commands",
    "images": "s2s-commands",
}
"""Where each of the toolkit's tasks lives, so that a missing package can be named."""


@dataclass(frozen=True)
class Command:
    """A verb of a task."""

    summary: str
    """One line for the list of commands."""
    run: str
    """``module:function``; the function takes the arguments after the verb and returns an exit status."""


@dataclass(frozen=True)
class Service:
    """How a task is served over HTTP."""

    verbs: tuple[str, ...]
    """What can be asked."""
    endpoints: str
    """``module:function`` from the parsed options to the `s2s_core.serving.endpoint.Endpoint`s of a loaded model."""
    add_options: str
    """``module:function`` that adds the task's own options to the parser of ``serve``."""


@dataclass(frozen=True)
class TaskInfo:
    """What the command line knows of a task."""

    name: str
    package: str
    """The import name of the package, whose ``configs`` folder is the task's."""
    summary: str
    model: str
    """``module:class`` of the LightningModule."""
    data: str
    """``module:class`` of the LightningDataModule."""
    commands: Mapping[str, Command] = field(default_factory=dict)
    """The task's own verbs, beside those that every task has."""
    configs: str = ""
    """The subfolder of the package's ``configs`` that is this task's, where a package has several tasks."""

    convert: str = ""
    """``module:function`` that makes the model and data sections of an old config; see `s2s_core.cli.convert`."""

    serving: Service | None = None
    """How it is served, if it has a verb that can be."""

    @property
    def config_home(self) -> str:
        """Where its packaged configs lie, as `packaged_configs` takes it."""
        return f"{self.package}/{self.configs}" if self.configs else self.package


def load_object(path: str) -> Any:
    """Import ``module:name``."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def installed_tasks() -> dict[str, TaskInfo]:
    """The tasks of all installed packages by name."""
    found = {point.name: point.load() for point in entry_points(group=ENTRY_POINT_GROUP)}
    return dict(sorted(found.items()))


def find_task(name: str) -> TaskInfo:
    """Return the task called ``name``.

    Raises:
        UserError: if no package is installed that has it; says which one to install, or the nearest names.
    """
    tasks = installed_tasks()
    if name in tasks:
        return tasks[name]
    if name in PACKAGE_OF:
        package = PACKAGE_OF[name]
        try:
            installed = version(package)
        except PackageNotFoundError:
            raise UserError(f"task '{name}' needs the package {package}: pip install {package}") from None
        raise UserError(f"task '{name}' is not part of {package} {installed}; installed tasks: {', '.join(tasks)}")
    near = get_close_matches(name, [*tasks, *PACKAGE_OF], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"installed tasks: {', '.join(tasks)}"
    raise UserError(f"unknown task '{name}'; {hint}")
