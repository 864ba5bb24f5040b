"""Processes that die under torchrun and are started again, and the launch lines that the documentation gives."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning.fabric.plugins.environments import SLURMEnvironment
from torch.distributed.run import config_from_args, parse_args

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
LIGHTNING = str(Path(sys.executable).with_name("lightning"))


def start(folder, config, *more):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--max-restarts=4"]
    words = [LIGHTNING, "run", "asr", "fit", "--config", str(config), "--output", "run", "--data.num_workers=0"]
    words += ["--trainer.devices=2", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [*launcher, *words], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def worker(launcher, rank):
    """The process identifier of a rank; None before there is one."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            environment = (status.parent / "environ").read_bytes()
        except OSError:
            continue
        if parent == launcher and f"\0RANK={rank}\0".encode() in b"\0" + environment:
            return int(status.parent.name)
    return None


def last(folder):
    return torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the worker is found in /proc")
def test_a_killed_worker_is_started_again_and_nothing_is_lost(tiny_config, tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    process = start(tmp_path / "killed", tiny_config)
    checkpoint = tmp_path / "killed" / "run" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 900
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(worker(process.pid, 1), signal.SIGKILL)
    step = last(tmp_path / "killed")["global_step"]
    assert 0 < step < 40
    _, errors = process.communicate(timeout=1500)
    assert process.returncode == 0, errors
    assert "going on from run/checkpoints/last.ckpt" in errors

    whole = start(tmp_path / "whole", tiny_config)
    _, errors = whole.communicate(timeout=1500)
    assert whole.returncode == 0, errors
    assert "going on from" not in errors
    ours, theirs = last(tmp_path / "killed"), last(tmp_path / "whole")
    assert ours["global_step"] == theirs["global_step"] == 40
    for name, value in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], value), name
    assert len(theirs["s2s"]["random_of_ranks"]) == 1
    assert not torch.equal(theirs["s2s"]["random_of_ranks"][0]["torch"], theirs["s2s"]["random"]["torch"])


RETURNING = """
import datetime, os, sys, time
import torch.distributed as dist
from s2s_core.strategies.restart import renew_store

renew_store()
attempt, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
time.sleep((attempt + rank) % 2)  # who comes first changes: it would read what the other left behind
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=30))
ranks = [None, None]
dist.all_gather_object(ranks, rank)
store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
left = store.check(["left"])
dist.barrier()
store.set("left", "behind")
sys.stdout.write(f"attempt {attempt}, rank {rank}: {ranks}, left {left}\\n")
sys.stdout.flush()
dist.barrier()
dist.destroy_process_group()
sys.exit(attempt < 3)
"""


@pytest.mark.slow
def test_workers_that_return_find_each_other_and_nothing_of_those_before(tmp_path):
    (tmp_path / "returning.py").write_text(RETURNING)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--max-restarts=3"]
    done = subprocess.run(
        [*command, "returning.py"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = [f"attempt {attempt}, rank {rank}: [0, 1], left False" for attempt in range(4) for rank in range(2)]
    assert sorted(done.stdout.splitlines()) == expected


def launches(kind):
    """The documented command lines that begin with a word, continued lines joined."""
    blocks = re.findall(r"```\w*\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines = [line.replace("$(which lightning)", "lightning").replace("$MASTER", "localhost") for line in lines]
    return [line for line in lines if line.startswith(kind)]


def layout(line):
    """Devices of each machine, and machines, as the trainer of a command line has them."""
    from s2s_core.cli.configs import resolve_config_arguments
    from s2s_core.cli.runs import key_parser
    from s2s_core.cli.tasks import installed_tasks

    words = shlex.split(line)
    at = words.index("lightning")
    assert words[at + 1 : at + 4] == ["run", "asr", "fit"]
    task = installed_tasks()["asr"]
    parsed = key_parser(task, trains=True).parse_args(resolve_config_arguments(words[at + 4 :], task.config_home))
    return int(parsed["trainer"]["devices"]), parsed["trainer"]["num_nodes"]


def test_documented_torchrun_lines_agree_with_their_trainers():
    lines = launches("torchrun")
    assert len(lines) >= 2
    for line in lines:
        arguments = parse_args(shlex.split(line)[1:])
        config, _, _ = config_from_args(arguments)
        assert (config.nproc_per_node, config.max_nodes) == layout(line), line
    assert any(config_from_args(parse_args(shlex.split(line)[1:]))[0].max_restarts > 0 for line in lines)


def test_documented_slurm_lines_agree_with_their_trainers(monkeypatch):
    nodes, tasks = (
        next(line.partition("=")[2] for line in launches("#SBATCH") if key in line)
        for key in ("--nodes=", "--ntasks-per-node=")
    )
    monkeypatch.setenv("SLURM_NNODES", nodes)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", tasks)
    monkeypatch.setenv("SLURM_NTASKS", str(int(nodes) * int(tasks)))
    monkeypatch.setenv("SLURM_JOB_NAME", "s2s")
    lines = launches("srun")
    assert lines
    for line in lines:
        SLURMEnvironment().validate_settings(*layout(line))
        assert layout(line) == (int(tasks), int(nodes))


def test_a_restart_without_a_checkpoint_begins_anew(tmp_path, monkeypatch):
    from s2s_core.cli.runs import _peek, _resume_point

    asked = _peek(["--config", "tiny.yaml", "--ckpt_path", "last"])
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert _resume_point(asked, tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert _resume_point(_peek(["--config", "tiny.yaml"]), tmp_path) == tmp_path / "checkpoints" / "last.ckpt"
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert _resume_point(_peek(["--config", "tiny.yaml"]), tmp_path) is None
