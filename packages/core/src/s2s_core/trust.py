"""What a config or a checkpoint may name: classes of the toolkit, of torch and of Lightning, and what the user allows.

jsonargparse asks before it imports anything that a value names, so a module outside is not even imported. The user's
own classes are allowed by ``--allow-class PREFIX``, for the rest of the process.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.tasks import PACKAGE_OF, TaskInfo, installed_tasks
from s2s_core.errors import UserError

OPTION = "--allow-class"
LIBRARIES = ("torch", "lightning", "pytorch_lightning", "torchmetrics")
REFUSED = (
    "torch.hub",
    "torch.load",
    "torch.serialization",
    "torch.package",
    "torch.multiprocessing",
    "torch.utils.cpp_extension",
    "torch.utils.model_zoo",
    "torch.distributed.run",
    "torch.distributed.launch",
    "torch.testing",
)
"""Members of the libraries that fetch, compile or run code."""
_given: dict[str, None] = {}
"""What the user allows, in order."""
_of_tasks: set[str] = set()
"""Modules of the tasks that were asked for."""


def take_allowed(argv: list[str]) -> list[str]:
    """Note what ``--allow-class`` allows; returns the other arguments.

    Raises:
        UserError: if a prefix is not a dotted name.
    """
    if not any(word.partition("=")[0] == OPTION for word in argv):
        return argv
    parser = VerbParser(add_help=False)
    parser.add_argument(OPTION, action="append", default=[], dest="prefixes")
    known, rest = parser.parse_known_args(argv)
    for prefix in known.prefixes:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", prefix):
            raise UserError(f"{OPTION} {prefix}: expected a module or a class, such as mypackage.encoders")
        _given[prefix] = None
    return rest


def allow_options() -> list[str]:
    """The options that allow another process what the user allows this one."""
    return [f"{OPTION}={prefix}" for prefix in _given]


def allow_task(task: TaskInfo) -> None:
    """Trust the modules of a task that is asked for by name."""
    _of_tasks.update(path.partition(":")[0] for path in (task.model, task.data))


def is_trusted(path: str) -> bool:
    """Whether a ``class_path`` may be imported."""
    return _is_under(path, (*_given, *_of_tasks)) or (_is_under(path, _namespaces()) and not _is_under(path, REFUSED))


def refusal(path: str) -> str:
    """What is said of a path that may not."""
    module = path.rpartition(".")[0] or path
    return f"names the class {path}, which is outside s2s, torch and Lightning; if you trust it, {OPTION} {module}"


@contextmanager
def enforced() -> Iterator[None]:
    """Have jsonargparse refuse to import anything that is not trusted, while it lasts."""
    from jsonargparse import _common as jsonargparse_state
    from jsonargparse import set_parsing_settings

    state: dict[str, Any] = jsonargparse_state.parsing_settings  # there is no public way to put settings back
    before = {key: state[key] for key in ("import_path_verdicts", "import_paths_enforced")}
    allowed = [*_namespaces(), *_given, *_of_tasks]
    set_parsing_settings(import_path_denylist=["*", *REFUSED], import_path_allowlist=allowed)
    try:
        yield
    finally:
        state.update(before)


@functools.cache
def _namespaces() -> tuple[str, ...]:
    # a package that registers a task is installed, and its code runs with every command anyway
    packages = {name.replace("-", "_") for name in PACKAGE_OF.values()} | {
        t.package for t in installed_tasks().values()
    }
    return tuple(sorted({"s2s_core", *packages, *LIBRARIES}))


def _is_under(path: str, prefixes: Iterable[str]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}.") for prefix in prefixes)
