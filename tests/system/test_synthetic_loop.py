"""Text, synthesis, recognition, as `make loop` runs it, but a few steps only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2s_core.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_loop_closes(tmp_path):
    pytest.importorskip("espeakng_loader", reason="eSpeak NG's wheel is not installed")
    from s2s_core.data.synthetic import write_spoken_corpus

    write_spoken_corpus(tmp_path / "spoken", train=24, validation=4, test=6)
    assert (
        main(["run", "asr", "prepare", "csv", f"--input={tmp_path / 'spoken'}", f"--output={tmp_path / 'real'}"]) == 0
    )
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "synthetic_loop.py"), "--lines=24", "--epochs=2"]
    small = ["--workers=1", "--trainer.accelerator=cpu", "--trainer.limit_val_batches=1", f"--output={tmp_path}"]
    environment = {name: value for name, value in os.environ.items() if name != "S2S_DATA_DIR"}
    done = subprocess.run([*command, *small], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    rows = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert [row["trained on"] for row in rows] == ["real", "synthetic", "50-50 both"]
    assert all(0 < row["WER"] <= 2 for row in rows)
    assert "24 of 24 lines" in done.stdout
    assert "train: 48 utterances" in done.stderr
    assert "an epoch draws 12 + 12" in done.stderr
