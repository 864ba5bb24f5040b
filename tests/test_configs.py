"""Every packaged config: says what it is, fits on a page, names only known keys, and builds its model.

Found by glob, so a new config is tested by being there. Models are built on the meta device: sizes without numbers.
"""

from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from s2s_core.cli.tasks import installed_tasks

REPOSITORY = Path(__file__).resolve().parents[1]
FOUND = sorted(REPOSITORY.glob("packages/*/configs/**/*.yaml"))
SWEEPS = [path for path in FOUND if path.parent.name == "sweeps"]
"""Checked by `tests/core/cli/test_sweep.py`."""
CONFIGS = [path for path in FOUND if path not in SWEEPS]
LINES = 60


def label(path):
    return path.relative_to(REPOSITORY / "packages").as_posix()


def tasks_of(path):
    """The tasks that can name a config: those of its package and folder, or any for the overlays of core."""
    package, _, folder = path.relative_to(REPOSITORY / "packages").parts[:3]
    tasks = list(installed_tasks().values())
    here = [task for task in tasks if task.package == f"s2s_{package}" and task.configs in ("", folder)]
    return tasks if package == "core" else here


@cache
def sections(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def recipes(task):
    return [path for path in CONFIGS if "model" in sections(path) and task in tasks_of(path)]


@cache
def parser_of(name):
    from s2s_core.cli.runs import key_parser

    return key_parser(installed_tasks()[name], trains=True)


def parse(task, *paths):
    arguments = [word for path in paths for word in ("--config", str(path))]
    return parser_of(task.name).parse_args(arguments)


RECIPES = [path for path in CONFIGS if "model" in sections(path)]
OVERLAYS = [path for path in CONFIGS if "model" not in sections(path)]


def test_there_are_recipes():
    assert RECIPES


@pytest.mark.parametrize("path", FOUND, ids=label)
def test_says_what_it_is_on_one_page(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# "), "the first line is a comment that `configs` shows"
    assert 10 <= len(lines[0]) <= 120
    assert len(lines) < LINES, f"{len(lines)} lines: a config has fewer than {LINES}"


def test_a_recipe_is_listed_by_one_task():
    tasks = {label(path): [task.name for task in tasks_of(path)] for path in RECIPES}
    assert {name: found for name, found in tasks.items() if len(found) != 1} == {}


@pytest.mark.parametrize("path", RECIPES, ids=label)
def test_recipe_parses_and_builds(path):
    from s2s_core.checkpoint import build_task

    (task,) = tasks_of(path)
    config = parse(task, path)
    with torch.device("meta"):
        model = build_task(config["model"].as_dict(), label(path))
    model.setup("fit")
    assert sum(parameter.numel() for parameter in model.parameters()) > 0
    assert model.describe()["class_path"] == config["model"]["class_path"]


def test_overlays_stack_on_every_task(tmp_path):
    plain = tmp_path / "plain.yaml"
    plain.write_text("trainer: {precision: bf16-mixed}", encoding="utf-8")
    for task in installed_tasks().values():
        for recipe in recipes(task)[:1]:
            assert parse(task, recipe, plain)["trainer"]["precision"] == "bf16-mixed"
            for overlay in OVERLAYS:
                if task in tasks_of(overlay):
                    parse(task, recipe, overlay)


def test_a_misspelt_key_is_found(tmp_path):
    task = tasks_of(RECIPES[0])[0]
    text = RECIPES[0].read_text(encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(text.replace("init_args:", "init_arks:", 1), encoding="utf-8")
    with pytest.raises(Exception, match="init_arks"):
        parse(task, tmp_path / "wrong.yaml")
