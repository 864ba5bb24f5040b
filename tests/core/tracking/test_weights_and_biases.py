import json
import subprocess
import sys

import pytest

from s2s_core.errors import UserError
from s2s_core.tracking.weights_and_biases import WandbRun, in_sweep, sweep_folder, wandb_logger, why_offline


@pytest.fixture
def quiet(monkeypatch, tmp_path):
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 's2s-core[wandb]'")
    for name in (
        "WANDB_SERVICE",
        "WANDB_API_KEY",
        "WANDB_MODE",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    return monkeypatch


def test_why_a_run_is_offline(quiet):
    assert "nobody is logged in" in why_offline("auto")
    quiet.setenv("WANDB_API_KEY", "a" * 40)
    assert why_offline("auto") == "127.0.0.1 does not answer"
    assert why_offline("online") is None
    assert why_offline("offline") == "it is set to be offline"
    quiet.setenv("WANDB_MODE", "online")
    assert why_offline("auto") is None
    quiet.setenv("WANDB_MODE", "disabled")
    assert why_offline("auto") == "WANDB_MODE is disabled"


def test_checkpoints_cannot_be_uploaded_offline(quiet, tmp_path):
    with pytest.raises(UserError, match=r"--wandb\.checkpoints: it is set to be offline"):
        wandb_logger(WandbRun(mode="offline", checkpoints=True), "lm", tmp_path)


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"pip install 's2s-core\[wandb\]'"):
        wandb_logger(WandbRun(), "lm", tmp_path)


def test_a_sweeps_run_has_a_folder_of_its_own(monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    assert not in_sweep()
    monkeypatch.setenv("WANDB_RUN_ID", "r")
    assert in_sweep()
    assert sweep_folder().as_posix() == "runs/sweeps/s/r"


OFFLINE = """
import json, sys
from pathlib import Path
from s2s_core.tracking.weights_and_biases import WandbRun, log_setting, wandb_logger

folder = Path(sys.argv[1])
logger = wandb_logger(WandbRun(project="p", name="n", mode="offline"), "lm", folder / "run")
log_setting([logger], {"commit": "abc"}, folder / "config.yaml")
run = logger.experiment
print(json.dumps({"config": dict(run.config), "project": run.project, "name": run.name}))
"""


@pytest.mark.slow
def test_an_offline_run_is_told_config_machine_and_code(quiet, tmp_path):
    (tmp_path / "config.yaml").write_text("model: {init_args: {lr: 0.1}}\n")
    # a process of its own: wandb's helper lives until its process ends, and would see the other tests' servers
    command = [sys.executable, "-c", OFFLINE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["config"]["s2s"]["commit"] == "abc"
    assert told["config"]["model"]["init_args"]["lr"] == 0.1
    assert (told["project"], told["name"]) == ("p", "n")
    assert "wandb sync" in done.stderr
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))
