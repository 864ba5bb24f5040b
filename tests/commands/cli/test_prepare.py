import json

import pytest

from s2s_core.cli.main import main
from s2s_core.testing import shared_data


def prepare(*arguments):
    return main(["run", "commands", "prepare", *map(str, arguments)])


def test_fsdd(tmp_path, capsys):
    assert prepare("fsdd", "--input", shared_data("fsdd"), "--output", tmp_path, "--jobs", 2) == 0
    out = capsys.readouterr().out
    assert "test          300 clips of 10 classes, 30 of each" in out
    assert json.loads((tmp_path / "summary.json").read_text())["splits"]["validation"] == {str(i): 6 for i in range(10)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fsd", "--output", "x"], "no corpus 'fsd'; there are speech-commands"),
        (["fsdd", "--output", "x"], "prepare fsdd: --input DIR is missing"),
        (["fsdd", "--input", "nowhere", "--output", "x"], "--input nowhere: no such folder"),
        (["csv", "--input", ".", "--output", "x", "--jobs", "0"], "--jobs must be at least 1, got 0"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prepare(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
