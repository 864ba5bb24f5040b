"""Sweeps with the real wandb client, agents and runs against the tests' own server."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from s2s_core.sweeps.wandb import _shares

pytest.importorskip("wandb", reason="wandb is not installed: pip install 's2s-core[wandb]'")
pytestmark = pytest.mark.slow
KEY = "model.init_args.optimizer.init_args.lr"


def write_sweep(folder, words, values):
    content = {
        "command": ["lightning", "run", "lm", "fit", *words, "${args}"],
        "method": "grid",
        "metric": {"name": "val/perplexity", "goal": "minimize"},
        "parameters": {KEY: {"values": values}},
        "early_terminate": {"type": "hyperband", "min_iter": 3},
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content))


def sweep(folder, *arguments):
    command = [sys.executable, str(Path(sys.executable).with_name("lightning")), "run", "lm", "sweep", *arguments]
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), **heeding
    )


def test_two_agents_run_the_grid_and_log_it(server, stories, tmp_path):
    write_sweep(tmp_path, stories, [0.002, 0.005, 0.01])
    steps = ["--trainer.val_check_interval=3", "--trainer.max_steps=6"]
    process = sweep(tmp_path, "--config", "sweep.yaml", "--agents", "2", "--count=4", *steps)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert "sweep team/s2s-lm/sweep1" in out
    registered = server.sweeps["sweep1"]
    assert registered["command"][:5] == ["${env}", "lightning", "run", "lm", "fit"]
    assert registered["command"][-4:] == ["--trainer.max_steps=6", "--logger", "wandb", "${args}"]
    assert registered["early_terminate"] == {"type": "hyperband", "min_iter": 3}
    assert server.agents == 2
    assert {tuple(settings.values()) for settings in server.runs.values()} == {(0.002,), (0.005,), (0.01,)}
    for run, settings in server.runs.items():
        folder = tmp_path / "runs" / "sweeps" / "sweep1" / run
        config = yaml.safe_load((folder / "config.yaml").read_text())
        assert config["model"]["init_args"]["optimizer"]["init_args"]["lr"] == settings[KEY]
        assert (folder / "checkpoints" / "last.ckpt").is_file()
        logged = {key for line in server.logged[run] for key in line}
        assert {"val/perplexity", "val/loss", "val/sample", "trainer/global_step"} <= logged, logged


def test_ctrl_c_gives_the_run_back_and_the_sweep_goes_on(server, stories, tmp_path):
    write_sweep(tmp_path, [*stories, "--trainer.max_epochs=100000", "--last.every_n_train_steps=2"], [0.002])
    process = sweep(tmp_path, "--config", "sweep.yaml")
    run = tmp_path / "runs" / "sweeps" / "sweep1" / "run1"
    deadline = time.monotonic() + 300
    while not (run / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130, err
    # wandb's threads may have a last word of their own
    assert "interrupted; go on with: lightning run lm sweep --resume team/s2s-lm/sweep1" in err
    assert server.preempting == {"run1"}, err

    server.waiting = [{KEY: 0.002, "trainer.max_steps": 1}]  # less than it has: it goes on, and ends at once
    server.runs.clear()  # so that the run gets its name again, as a run given back does
    process = sweep(tmp_path, "--resume", "team/s2s-lm/sweep1")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert f"going on from {Path('runs/sweeps/sweep1/run1/checkpoints/last.ckpt')}" in err


def test_the_runs_are_shared_out_among_agents():
    assert _shares(7, 3) == [3, 2, 2]
    assert _shares(2, 5) == [1, 1]
    assert _shares(None, 2) == [None, None]
