"""Tasks by name, installed or not."""

import json

import pytest

from s2s_core.cli import tasks
from s2s_core.errors import UserError


def test_a_task_of_a_package_that_is_not_installed_names_it(monkeypatch):
    def absent(name):
        raise tasks.PackageNotFoundError(name)

    monkeypatch.setattr(tasks, "version", absent)
    monkeypatch.setattr(tasks, "entry_points", lambda group: [])
    with pytest.raises(UserError, match="needs the package s2s-tts: pip install s2s-tts"):
        tasks.find_task("tts")


def test_an_installed_package_without_the_task_is_not_asked_for_again(monkeypatch):
    monkeypatch.setattr(tasks, "version", lambda name: "0.0.1")
    monkeypatch.setattr(tasks, "entry_points", lambda group: [])
    with pytest.raises(UserError, match=r"task 'tts' is not part of s2s-tts 0\.0\.1"):
        tasks.find_task("tts")


def test_a_near_name_is_suggested_and_otherwise_all_are_listed():
    with pytest.raises(UserError, match="unknown task 'voccoder'; did you mean vocoder"):
        tasks.find_task("voccoder")
    with pytest.raises(UserError, match="unknown task 'zzz'; installed tasks: "):
        tasks.find_task("zzz")


def test_a_task_says_where_its_configs_lie():
    words = ("name", "package", "summary", "m:M", "m:D")
    assert tasks.TaskInfo(*words).config_home == "package"
    assert tasks.TaskInfo(*words, configs="part").config_home == "package/part"


def test_an_object_is_imported_by_module_and_name():
    assert tasks.load_object("json:loads") is json.loads


def test_every_installed_task_is_found_by_its_name_and_lives_where_a_hint_would_say():
    found = tasks.installed_tasks()
    assert list(found) == sorted(found)
    for name, task in found.items():
        assert tasks.find_task(name) == task
        assert task.package.replace("_", "-") == tasks.PACKAGE_OF[name]
