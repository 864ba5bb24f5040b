"""``convert``: an OpenSeq2Seq config to a config of this toolkit, without running it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.output import output_file
from s2s_core.cli.tasks import TaskInfo, load_object
from s2s_core.errors import UserError
from s2s_core.openseq2seq.python_config import Name, read_python_config


def main(task: TaskInfo, argv: list[str]) -> int:
    """Write the converted config, what could not be converted as comments on top; returns the exit status."""
    parser = VerbParser(
        prog=f"lightning run {task.name} convert",
        description="Convert a Python config of OpenSeq2Seq to YAML. The old file is read as data, never run. What has "
        "no counterpart is listed on standard error and in comments on top.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.py", help="the old config")
    parser.add_argument("--output", metavar="FILE", help="where to write (default: standard output)")
    asked = parser.parse_args(argv)
    if not task.convert:
        raise UserError(f"task '{task.name}': no model of OpenSeq2Seq is converted; start from a packaged recipe")
    path = None if asked.output is None else output_file("--output", asked.output)
    text, notes = convert(task, asked.config)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if path is None:
        print(text, end="")
    else:
        path.write_text(text, encoding="utf-8")
        print(f"{path}: train it with 'lightning run {task.name} fit --config {path}'", file=sys.stderr)
    return 0


def convert(task: TaskInfo, path: Path) -> tuple[str, list[str]]:
    """The YAML of an old config, and notes on what was not converted.

    Raises:
        UserError: if the file is no such config, or is of a model without a counterpart in this task.
    """
    from s2s_core.openseq2seq.settings import TASKS, leftovers, old_config, trainer

    old = old_config(read_python_config(path), str(path))
    tasks = TASKS.get(old.base_model, task.name).split()
    if task.name not in tasks:
        raise UserError(f"{path}: a {old.base_model}: convert it with 'lightning run {tasks[0]} convert'")
    try:
        sections: dict[str, Any] = load_object(task.convert)(old)
        seed = old.take("random_seed")
        content = {"seed_everything": 1 if seed is None else seed, **sections, "trainer": trainer(old)}
        if unknown := next(_names(content, ""), None):
            raise UserError(f"{unknown[0]}: '{unknown[1]}' is not assigned in the file")
        body = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:  # of a form that no config has
        what = f"{type(error).__name__} {' '.join(str(error).split())}"
        raise UserError(f"{path}: not the form of a {old.base_model} config: {what}") from error
    notes = [*old.notes, *leftovers(old)]
    lines = [f"# Converted from OpenSeq2Seq's {path.name}", *(f"# {note}" for note in notes)]
    return "\n".join(lines) + "\n" + body, notes


def _names(content: Any, key: str) -> Iterator[tuple[str, Name]]:
    """Where names are left that stand for nothing."""
    if isinstance(content, Name):
        yield key, content
    elif isinstance(content, dict):
        for part, value in content.items():
            yield from _names(value, f"{key}.{part}" if key else str(part))
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from _names(value, f"{key}[{number}]")
