"""The images quickstart, as typed."""

import json
import re

import pytest

from s2s_commands.cli import IMAGES
from s2s_core.cli.main import run_task


@pytest.mark.slow
def test_digits_are_learned(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_task(IMAGES, ["quickstart", "--output", "q"], "test") == 0
    out = capsys.readouterr().out
    scores = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    assert scores["test/accuracy"] >= 0.95
    shown = re.findall(r"written (\d)  read (\d)", out)
    assert len(shown) == 10
    assert sum(a == b for a, b in shown) >= 8
