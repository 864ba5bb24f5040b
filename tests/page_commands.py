"""Runs a command of a page as a reader would, with little training and few processes."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path

import yaml

from pages import PROGRAMS, plain, words_of
from s2s_core.cli.configs import find_config
from s2s_core.cli.main import main
from s2s_core.cli.tasks import installed_tasks

LIGHTNING = str(Path(sys.executable).with_name("lightning"))
PROCESSES = re.compile(r"torchrun|srun|strategy=ddp|deepspeed|--logger wandb|sweep")
"""What is a process of its own, or starts some that are told by its command line what to run."""
WIDTH = 16
TIMEOUT_S = 900


def narrow(recipe):
    """Options that leave Jasper its depth, kernels and residuals, and give every block the same few channels."""
    config = yaml.safe_load(find_config(recipe, installed_tasks()["asr"].config_home).read_text())
    blocks = config["model"]["init_args"]["encoder"]["init_args"]["blocks"]
    chosen = json.dumps([{**block, "channels": WIDTH} for block in blocks])
    options = [f"encoder.init_args.blocks={chosen}", f"decoder.init_args.in_features={WIDTH}"]
    return [f"--model.init_args.{option}" for option in options]


STEPS = {"accelerator": "cpu", "limit_train_batches": 1, "limit_val_batches": 1, "max_steps": -1}
STEPS |= {"val_check_interval": 1.0, "check_val_every_n_epoch": 1}
SMALLER = {
    "--config jasper/10x5": narrow("jasper/10x5"),
    "--config librispeech": narrow("librispeech"),
    "--config wikitext-2-awd": ["--data.batch_size=2", "--data.segment_length=5"],
    "--config transformer-base": ["--data.batch_size=4"],
    "--config resnet50": ["--data.batch_size=2", "--data.num_workers=0"],
    "--config tacotron2": ["--data.batch_size=2"],
    "--config wavenet": ["--data.batch_size=1", "--data.segment_samples=2048", "--data.num_workers=0"],
    "accumulate_grad_batches": ["--trainer.limit_train_batches=6", "--data.batch_size=1"],
    "devices 8": ["--trainer.devices=1"],
    "devices=8": ["--trainer.devices=2"],
    "librispeech --config overlays": ["--trainer.devices=2"],
    "num_nodes=4": ["--trainer.devices=1", "--trainer.num_nodes=2"],
    "srun ": ["--trainer.num_nodes=1"],
    "overlays/compile": ["--trainer.callbacks.init_args.backend=aot_eager"],
}
"""By a part of the command: what it is given beside, so that a step takes a moment and no device is missing."""
SLURM = {"NTASKS": 1, "NTASKS_PER_NODE": 1, "NNODES": 1, "JOB_ID": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0}
SLURM |= {"JOB_NAME": "s2s", "NODELIST": "localhost", "JOB_NODELIST": "localhost"}
"""What ``srun`` tells the only process of a job."""


def shortened(command):
    """The words of a command with less training."""
    words = plain(command)
    verb = (words[words.index("lightning") :] + [""] * 3)[3]
    more = []
    if verb == "fit" or (verb == "sweep" and "--resume" not in words):
        epochs = 2 if "--ckpt_path" in words else 1
        more = [f"--trainer.{key}={value}" for key, value in {**STEPS, "max_epochs": epochs}.items()]
    for part, options in SMALLER.items():
        more += options if verb == "fit" and part in " ".join(words) else []
    if verb == "sweep":
        more += [] if "--resume" in words else ["--count=2"]
    if verb == "bench":
        more += ["--batch=1", "--seconds=1", "--steps=1", "--warmup=1"]
    return [*words, *more]


def provide_checkpoints(words):
    """Where a page names a checkpoint that none of its commands wrote, it is the one that was trained last."""
    for word in words:
        path = Path(word)
        if path.suffix == ".ckpt" and not path.exists():
            trained = sorted(Path("runs").glob("**/checkpoints/best.ckpt"), key=lambda found: found.stat().st_mtime)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(trained[-1], path)


def make_room(words):
    """Remove what an earlier command of the page wrote, where this one is its alternative and writes the same."""
    words = words[words.index("lightning") :]
    if "--ckpt_path" in words or words[3:4] not in (["fit"], ["prepare"]):
        return
    outputs = [after for word, after in pairwise(words) if word == "--output"]
    recipes = [after for word, after in pairwise(words) if word == "--config"]
    recipe = next((name for name in reversed(recipes) if not name.startswith("overlays/")), "none")
    for output in outputs or [f"runs/{Path(recipe).stem}"]:
        written = any((Path(output) / name).is_file() for name in ("config.yaml", "summary.json"))
        if written and words.count(output) < 2:  # and no folder of tables that the manifests join
            shutil.rmtree(output, ignore_errors=True)


def run_page_command(command, server=None):
    """Run what stands on a page as a reader would; a server of the tests' own answers for Weights & Biases."""
    started = words_of(command)[0]
    if started == "tensorboard":
        look(["-m", "tensorboard.main", *words_of(command)[1:]])
    elif "lightning" not in plain(command):
        subprocess.run(["bash", "-e", "-c", command], check=True)
    else:
        words = shortened(command)
        make_room(words)
        if PROCESSES.search(command):
            run_as_processes(words, server)
        else:
            run_here(started if started in PROGRAMS else None, words)


def run_here(program, words):
    sys.stdin = io.TextIOWrapper(io.BytesIO(b""))
    arguments = sys.argv
    try:
        if program is None:
            status = main(words[1:])
        else:
            sys.argv = [program, *words[3:]]
            status = next(iter(entry_points(group="console_scripts", name=program))).load()()
    except SystemExit as end:  # of --help
        status = end.code
    finally:
        sys.argv, sys.stdin = arguments, sys.__stdin__
    assert status in (0, None), words


def run_as_processes(words, server):
    """Two processes where the page has more; of several machines, two of one process each, which are here."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    place = words.index("lightning")
    launcher, rest, machines = words[:place], words[place + 1 :], 1
    if launcher[:1] == ["torchrun"]:
        machines = 2 if "--nnodes=4" in launcher else 1
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        fewer = {"--nnodes=4": "--nnodes=2", "--nproc-per-node=8": f"--nproc-per-node={3 - machines}"}
        fewer["--rdzv-endpoint=$MASTER:29500"] = f"--rdzv-endpoint=localhost:{port}"
        launcher = ["-m", "torch.distributed.run", *(fewer.get(word, word) for word in launcher[1:])]
    elif launcher == ["srun"]:
        environment |= {f"SLURM_{name}": str(value) for name, value in SLURM.items()}
        launcher = []
    if "ENTITY/PROJECT/ID" in rest:
        rest[rest.index("ENTITY/PROJECT/ID")] = f"team/s2s-lm/{next(iter(server.sweeps))}"
    command = [sys.executable, *launcher, LIGHTNING, *rest]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [subprocess.Popen(command, env=environment, **pipes) for _ in range(machines)]
    for process in started:
        try:
            said, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        assert process.returncode == 0, said[-6000:]


def look(words):
    """Start what serves a page, and end it when it has said where."""
    process = subprocess.Popen([sys.executable, *words, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        assert any("http://localhost:" in line for line in process.stderr), words
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()  # a helper that it started may still hold the other end
