"""Old configs with mistakes, converted by a stand-in for a task's own half."""

import sys

import pytest
import yaml

from s2s_core.cli.convert import convert, main
from s2s_core.cli.tasks import TaskInfo
from s2s_core.errors import UserError

MODULE = """
def convert(old):
    options = old.options("encoder_params")
    return {"model": {"init_args": {"encoder": {"size": options.take("hidden_size"), "kinds": [options.take("kind")]}}}}
"""


@pytest.fixture
def converted(tmp_path, monkeypatch):
    (tmp_path / "s2s_toy_convert.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    task = TaskInfo("toy", "s2s_core", "a toy", "", "", convert="s2s_toy_convert:convert")

    def run(params):
        (tmp_path / "old.py").write_text(f"base_model = Toy\nbase_params = {params}\n")
        return convert(task, tmp_path / "old.py")

    yield run
    sys.modules.pop("s2s_toy_convert", None)


def test_a_config_is_converted(converted):
    text, notes = converted("{'num_epochs': 3, 'encoder_params': {'hidden_size': 8, 'kind': 'a'}}")
    assert notes == []
    assert yaml.safe_load(text) == {
        "seed_everything": 1,
        "model": {"init_args": {"encoder": {"size": 8, "kinds": ["a"]}}},
        "trainer": {"max_epochs": 3, "devices": 1},
    }


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ("{'num_epochs': EPOCHS}", r"old\.py: num_epochs: 'EPOCHS' is not assigned in the file"),
        ("{'num_gpus': GPUS}", r"old\.py: num_gpus: 'GPUS' is not assigned in the file"),
        (
            "{'encoder_params': {'hidden_size': d_model}}",
            r"old\.py: model\.init_args\.encoder\.size: 'd_model' is not assigned in the file",
        ),
        ("{'encoder_params': {'kind': KIND}}", r"encoder\.kinds\[0\]: 'KIND' is not assigned"),
        ("{'num_epochs': 'three'}", "not the form of a Toy config: ValueError"),
        ("{'encoder_params': {'kind': 1j}}", "not the form of a Toy config: RepresenterError"),
    ],
)
def test_a_mistake_is_one_line(converted, params, complaint):
    with pytest.raises(UserError, match=complaint) as found:
        converted(params)
    assert "\n" not in str(found.value)


def test_a_task_without_a_conversion_says_so():
    with pytest.raises(
        UserError, match="task 'toy': no model of OpenSeq2Seq is converted; start from a packaged recipe"
    ):
        main(TaskInfo("toy", "s2s_core", "a toy", "", ""), ["old.py"])


def test_a_model_of_another_task_is_sent_there(tmp_path):
    (tmp_path / "old.py").write_text("base_model = Speech2Text\nbase_params = {}\n")
    with pytest.raises(UserError, match="a Speech2Text: convert it with 'lightning run asr convert'"):
        convert(TaskInfo("toy", "s2s_core", "a toy", "", ""), tmp_path / "old.py")


def test_what_is_left_out_is_told(converted):
    _, notes = converted("{'load_model': 'runs/old', 'encoder_params': {'hidden_size': 8, 'kind': 'a'}}")
    assert notes == ["without a counterpart, left out: load_model"]
