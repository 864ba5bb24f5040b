"""Packaged recipes as tasks."""

from __future__ import annotations

from s2s_core.checkpoint import build_task
from s2s_core.cli.configs import resolve_config_arguments
from s2s_core.cli.runs import key_parser
from s2s_core.cli.tasks import installed_tasks
from s2s_core.task import Task


def build_recipe(task: str, config: str) -> Task:
    """The model of a task's packaged config, with weights drawn from torch's generator."""
    info = installed_tasks()[task]
    words = resolve_config_arguments(["--config", config], info.config_home)
    parsed = key_parser(info, trains=False).parse_args(words)
    return build_task(parsed["model"].as_dict(), config)
