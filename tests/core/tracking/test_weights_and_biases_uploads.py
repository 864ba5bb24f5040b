"""Checkpoints as artifacts, with the real wandb client against the tests' own server."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("wandb", reason="wandb is not installed: pip install 's2s-core[wandb]'")


@pytest.mark.slow
def test_the_best_and_the_last_checkpoint_are_uploaded_when_asked_for(server, stories, tmp_path):
    run = tmp_path / "run"
    logger = ["--logger=wandb", "--wandb.mode=online", "--wandb.checkpoints=true"]
    steps = ["--trainer.max_steps=4", "--trainer.val_check_interval=2", f"--output={run}"]
    # a process of its own: wandb keeps the server that it met first, and uploads end with the process
    command = [str(Path(sys.executable).with_name("lightning")), "run", "lm", "fit", *stories, *logger, *steps]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    uploaded = {content["model.ckpt"] for content in server.artifacts.values() if content["type"] == "model"}
    assert uploaded == {(run / "checkpoints" / name).read_bytes() for name in ("best.ckpt", "last.ckpt")}
    assert not server.unknown
