"""The verbs that every task has: their help, and the list of configs."""

import pytest

from s2s_core.cli import verbs
from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.tasks import TaskInfo
from s2s_core.errors import UserError

TASK = TaskInfo("toy", "s2s_core", "a toy", "absent:Model", "absent:Data")
"""Its classes cannot be imported: help must not need them."""


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
@pytest.mark.parametrize("arguments", [[], ["--help"], ["--config", "x", "-h"]])
def test_help_says_what_the_verb_does_without_building_anything(verb, arguments, capsys):
    assert getattr(verbs, verb)(TASK, arguments) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: lightning run toy {verb} ")
    assert verbs.HELP[verb][0] in printed
    assert "--help-keys" in printed


def test_a_tasks_own_options_follow_in_the_help(capsys):
    parser = VerbParser(prog="lightning run toy test", add_help=False)
    parser.add_argument_group("search").add_argument("--beam", help="how wide")
    assert verbs.evaluate("test", TASK, ["--help"], options=parser) == 0
    printed = capsys.readouterr().out
    assert printed.index("--ckpt_path") < printed.index("search:") < printed.index("--beam")
    assert printed.count("usage:") == 1


def test_configs_are_listed_recipes_first_and_shown_by_name(capsys):
    assert verbs.configs(TASK, []) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert "overlays/bf16-master" in listed
    assert verbs.configs(TASK, ["overlays/bf16-master"]) == 0
    assert capsys.readouterr().out.startswith("# Overlay: bf16 with float32 master weights")
    with pytest.raises(UserError, match="bf17"):
        verbs.configs(TASK, ["overlays/bf17-master"])
