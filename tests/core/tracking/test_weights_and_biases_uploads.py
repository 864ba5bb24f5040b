"""Checkpoints as artifacts, with the real wandb client against the tests' own server."""

import pytest

from s2s_core.cli.main import main

wandb = pytest.importorskip("wandb", reason="wandb is not installed: pip install 's2s-core[wandb]'")


@pytest.mark.slow
def test_the_best_and_the_last_checkpoint_are_uploaded_when_asked_for(server, stories, tmp_path):
    run = tmp_path / "run"
    logger = ["--logger=wandb", "--wandb.mode=online", "--wandb.checkpoints=true"]
    steps = ["--trainer.max_steps=4", "--trainer.val_check_interval=2"]
    assert main(["run", "lm", "fit", *stories, *logger, *steps, f"--output={run}"]) == 0
    wandb.finish()  # as the end of a process does: it waits for the uploads
    uploaded = {content["model.ckpt"] for content in server.artifacts.values() if content["type"] == "model"}
    assert uploaded == {(run / "checkpoints" / name).read_bytes() for name in ("best.ckpt", "last.ckpt")}
    assert not server.unknown
