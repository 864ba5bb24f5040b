"""A sweep is checked against the config before anything is registered or started: its keys, values and metric."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from s2s_core.cli.configs import resolve_config_arguments
from s2s_core.cli.parsing import parse_checked
from s2s_core.cli.runs import key_parser
from s2s_core.cli.tasks import TaskInfo, load_object
from s2s_core.errors import UserError
from s2s_core.sweeps.definition import Sweep, as_option

TRAINING_FIGURES = ("train/loss", "train/grad_norm")


def check_against_config(sweep: Sweep, task: TaskInfo, words: list[str]) -> None:
    """Parse the recipe alone and with each searched value, and look for the metric among what the task measures.

    Args:
        sweep: the sweep.
        task: whose recipe it is.
        words: the arguments of each run after ``fit``, the searched ones left out.

    Raises:
        UserError: naming the parameter and the value, or the metric.
    """
    parser = key_parser(task, trains=True)
    resolved = resolve_config_arguments(words, task.config_home)
    config = parse_checked(parser, resolved)
    for parameter in sweep.parameters:
        for value in parameter.ends():
            option = as_option(parameter.key, value)
            parse_checked(parser, [*resolved, option], f"parameters.{parameter.key}: {value}: ")
    _check_metric(sweep, task, config)


def _check_metric(sweep: Sweep, task: TaskInfo, config: Any) -> None:
    model = load_object(task.model)
    measured = [f"val/{name}" for name in model.measured()]
    if sweep.metric not in (*measured, *TRAINING_FIGURES):
        near = get_close_matches(sweep.metric, measured, n=1, cutoff=0.3)
        hint = f"; did you mean '{near[0]}'?" if near else f"; it logs {', '.join(measured)}"
        raise UserError(f"metric '{sweep.metric}': task '{task.name}' logs no such figure{hint}")
    better = "max" if sweep.maximize else "min"
    if sweep.metric == model.monitor and better != model.monitor_mode:
        right = "maximize" if model.monitor_mode == "max" else "minimize"
        raise UserError(f"metric.goal: {sweep.metric} is better the other way: write {right}")
    data = config.get("data.init_args") or {}
    no_validation = config.get("trainer.limit_val_batches") in (0, 0.0) or data.get("validation", "") is None
    if sweep.metric.startswith("val/") and no_validation:
        raise UserError(f"metric '{sweep.metric}': is of the validation set, and the config has none")
