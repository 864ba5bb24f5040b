import json
import re

import pytest

from s2s_core.tracking import machine
from s2s_core.tracking.machine import code_version, write_machine


def test_the_machine_is_described(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/lightning", "run", "asr", "fit", "--config", "a b"])
    write_machine(tmp_path)
    found = json.loads((tmp_path / "machine.json").read_text())
    assert found["command"] == "lightning run asr fit --config 'a b'"
    assert found["cores"] >= 1
    assert found["packages"]["torch"]
    assert found["s2s"]


def test_every_start_of_a_run_is_kept(tmp_path):
    for _ in range(3):
        write_machine(tmp_path)
    found = json.loads((tmp_path / "machine.json").read_text())
    assert len(found["before"]) == 2
    assert all("before" not in start for start in found["before"])


@pytest.mark.parametrize("text", ['{"command": "light', "", "[]"])
def test_a_machine_file_that_was_cut_off_stops_nothing(tmp_path, text):
    (tmp_path / "machine.json").write_text(text)
    about = write_machine(tmp_path)
    assert json.loads((tmp_path / "machine.json").read_text()) == about
    assert [path.name for path in tmp_path.iterdir()] == ["machine.json"]


def test_an_environment_asks_no_git(monkeypatch):
    started = []
    monkeypatch.setattr(machine, "__file__", "/x/site-packages/s2s_core/tracking/machine.py")
    monkeypatch.setattr(machine.subprocess, "run", lambda *args, **kwargs: started.append(args))
    assert code_version() is None
    assert not started


def test_the_code_version_is_a_commit_or_nothing():
    found = code_version()
    assert found is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found)
