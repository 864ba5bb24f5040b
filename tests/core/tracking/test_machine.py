import json
import re

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


def test_the_code_version_is_a_commit_or_nothing():
    found = code_version()
    assert found is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found)
