"""A sweep file: what is searched, by which method, for which metric, and the command that each run is."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from s2s_core.errors import UserError
from s2s_core.sweeps.space import Parameter, read_parameter
from s2s_core.trust import OPTION as ALLOW

ARGS = "${args}"
METHODS = ("grid", "random", "bayes")
GOALS = ("minimize", "maximize")
KEYS = ("name", "description", "project", "entity", "program", "command", "method", "metric", "parameters", "run_cap")
EARLY = "early_terminate"
RESERVED = ("config", "c", "output", "ckpt_path", "logger")


@dataclass(frozen=True)
class Sweep:
    """A checked sweep file.

    Args:
        content: the file as it stands, which is what Weights & Biases gets.
        method: ``grid``, ``random`` or ``bayes``.
        metric: the logged key that is searched for, ``val/wer``.
        maximize: whether it is better when higher.
        parameters: what is searched.
        recipe: the words after ``fit`` of the file's command, ``${args}`` left out.
        run_cap: the most runs, if the file says so.
    """

    content: dict[str, Any]
    method: str
    metric: str
    maximize: bool
    parameters: list[Parameter]
    recipe: list[str] = field(default_factory=list)
    run_cap: int | None = None


def read_sweep(path: Path, task: str) -> Sweep:
    """Read and check a sweep file for the task called ``task``.

    Raises:
        UserError: naming the file and the key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"sweep '{path}': not readable as YAML: {' '.join(str(error).split())}") from error
    try:
        return parse_sweep(content, task)
    except UserError as error:
        raise UserError(f"sweep '{path}': {error}") from error


def parse_sweep(content: Any, task: str) -> Sweep:
    """Check the content of a sweep file.

    Raises:
        UserError: naming the key.
    """
    if not isinstance(content, dict):
        raise UserError(f"expected keys and values, found {type(content).__name__}")
    for key in content:
        if key not in (*KEYS, EARLY):
            near = get_close_matches(str(key), [*KEYS, EARLY], n=1)
            raise UserError(f"unknown key '{key}'" + f"; did you mean '{near[0]}'?" * bool(near))
    method = content.get("method")
    if method not in METHODS:
        raise UserError(f"method: expected {', '.join(METHODS)}; got {method!r}")
    metric = content.get("metric")
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
        raise UserError("metric: expected {name: a logged key such as val/loss, goal: minimize or maximize}")
    goal = metric.get("goal", "minimize")
    if goal not in GOALS:
        raise UserError(f"metric.goal: expected {' or '.join(GOALS)}; got {goal!r}")
    found = content.get("parameters")
    if not isinstance(found, dict) or not found:
        raise UserError("parameters: expected dotted keys of the config with their values")
    run_cap = content.get("run_cap")
    if run_cap is not None and (not isinstance(run_cap, int) or run_cap < 1):
        raise UserError(f"run_cap: expected a whole number above 0, got {run_cap!r}")
    _check_early_termination(content.get(EARLY))
    parameters = [read_parameter(str(key), settings) for key, settings in found.items()]
    for parameter in parameters:
        if parameter.key in RESERVED:
            raise UserError(f"parameters.{parameter.key}: cannot be searched: each run of a sweep has its own")
    if method == "grid":
        for parameter in parameters:
            parameter.grid()
    recipe = _recipe(content.get("command"), task)
    return Sweep(content, method, metric["name"], goal == "maximize", parameters, recipe, run_cap)


def _recipe(command: Any, task: str) -> list[str]:
    expected = f"command: expected [lightning, run, {task}, fit, --config, NAME, '{ARGS}']"
    if not isinstance(command, list) or not all(isinstance(word, str | int | float) for word in command):
        raise UserError(f"{expected}; got {command!r}")
    words = [str(word) for word in command]
    if words[:1] == ["${env}"]:
        words = words[1:]
    if words[:4] != ["lightning", "run", task, "fit"] or ARGS not in words:
        raise UserError(f"{expected}; got {' '.join(words)}")
    recipe = [word for word in words[4:] if word != ARGS]
    check_common(recipe)
    for word in recipe:
        if word.partition("=")[0] == ALLOW:
            raise UserError(
                f"command: {ALLOW} is the user's to give: beside 'lightning run {task} sweep', not in the file"
            )
    return recipe


def check_common(words: list[str]) -> None:
    """Check what all runs are given.

    Raises:
        UserError: if it is what each run has of its own.
    """
    for word in words:
        option = word.partition("=")[0]
        if option in ("--output", "--ckpt_path"):
            raise UserError(f"{option} would be the same for all runs of the sweep; leave it out")


def _check_early_termination(early: Any) -> None:
    if early is None:
        return
    if not isinstance(early, dict) or early.get("type") != "hyperband":
        raise UserError(f"{EARLY}: expected type: hyperband, got {early!r}")
    allowed = ("type", "min_iter", "max_iter", "s", "eta", "strict")
    for key, value in early.items():
        if key not in allowed:
            raise UserError(f"{EARLY}.{key}: unknown; known are {', '.join(allowed)}")
        if key in ("min_iter", "max_iter", "s", "eta") and (not isinstance(value, int | float) or value <= 0):
            raise UserError(f"{EARLY}.{key}: expected a number above 0, got {value!r}")
    if ("min_iter" in early) == ("max_iter" in early):
        raise UserError(f"{EARLY}: expected either min_iter, or max_iter and s")
    if "max_iter" in early and "s" not in early:
        raise UserError(f"{EARLY}: max_iter needs s, the number of brackets")


def as_option(key: str, value: Any) -> str:
    """A setting as Weights & Biases puts it in place of ``${args}``; both backends run the same words."""
    return f"--{key}={value}"
