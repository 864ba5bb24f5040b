"""The newcomer's first five minutes, as `make demo` runs them."""

import json

import pytest

from s2s_core.cli.main import main


@pytest.mark.slow
def test_the_quickstart_learns_and_writes_down_voices_it_has_never_heard(tmp_path, capfd):
    assert main(["run", "asr", "quickstart", f"--output={tmp_path / 'demo'}", "--trainer.accelerator=cpu"]) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    metrics = json.loads(next(line for line in lines if line.startswith("{")))
    assert metrics["test/wer"] <= 0.05
    assert sum(line.startswith("  reference ") for line in lines) == 8
    assert sum(line.startswith("  hypothesis ") for line in lines) == 8
    assert "real-time factor" in out
    assert [line.split()[4] for line in lines if line.startswith("$ ")] == ["prepare", "fit", "test"]
    for piece in ("loss=", "wer=", "step/s", "100%"):
        assert piece in err, piece
