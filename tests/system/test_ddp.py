"""Data parallelism as torchrun starts it, over Gloo: one loss curve and one metric for any number of processes.

This file is also what the processes run.
"""

import functools
import gzip
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from s2s_asr.data import SpeechData
from s2s_core.checkpoint import load_task
from s2s_core.cli.runs import gathered
from s2s_core.data.loader import Loaded, ResumableLoader
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.losses.reduction import LossSum
from s2s_core.precision.loss_scale import StaticScale
from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.strategies.ddp import HalfGradientsDDP
from s2s_core.task import Task

MICRO_BATCHES = 6
"""Of an optimizer step, whatever the number of processes."""
LENGTHS = [11, 10, 10, 9, 9, 8, 8, 8, 7, 7, 6, 6, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]
BATCH_SIZES = (1, 2, 3, 5, 7)


class Tokens(Task):
    """Squared errors summed over the tokens of sequences, and counted in tokens."""

    name = "tokens"
    monitor = "loss"

    def __init__(self, dtype):
        super().__init__(functools.partial(torch.optim.Adam, lr=0.02), regularizer=L2Regularizer(0.01))
        torch.manual_seed(int(os.environ.get("RANK", "0")))  # DDP gives all the first process's weights
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)
        self.seen = []

    def training_step(self, batch, batch_idx):
        indices, x = batch
        self.seen += indices
        errors = self.net(x).to(x.dtype) - x.sum(-1, keepdim=True)
        return self.normalised(LossSum(errors.square().sum(), torch.tensor(len(x))))


class Sequences(torch.utils.data.Dataset):
    def __init__(self, dtype):
        self.dtype = dtype

    def __getitems__(self, indices):
        rows = [
            torch.randn(LENGTHS[i], 4, dtype=self.dtype, generator=torch.Generator().manual_seed(i)) for i in indices
        ]
        return Loaded((indices, torch.cat(rows)))


class Curve(Callback):
    def __init__(self):
        self.losses = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self.losses.append(float(trainer.callback_metrics["train/loss"]))


def train(strategy, dtype=torch.float64, precision=None):
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    task, curve = Tokens(dtype), Curve()
    # not shuffled: the order of batches depends on the number of processes, what is in them does not
    sampler = BucketBatchSampler(LENGTHS, 12.0, shuffle=False, rank=rank, world_size=processes)
    assert sampler.batches_per_epoch % MICRO_BATCHES == 0
    trainer = pl.Trainer(
        accelerator="cpu", devices=processes, strategy=strategy if processes > 1 else "auto", max_epochs=3,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accumulate_grad_batches=MICRO_BATCHES // processes, use_distributed_sampler=False, gradient_clip_val=1.0,
        callbacks=[curve], log_every_n_steps=1, plugins=[] if precision is None else [precision],
    )  # fmt: skip
    trainer.fit(task, ResumableLoader(Sequences(dtype), sampler))
    return {"weights": task.state_dict(), "losses": curve.losses, "seen": task.seen}


def train_in_each_way():
    return {
        "ddp": train(DDPStrategy()),
        "half": train(HalfGradientsDDP("bf16")),
        "master": train(DDPStrategy(), torch.float32, MasterWeightsPrecision("fp16", StaticScale(256.0))),
    }


def evaluate(checkpoint, manifest, output):
    """Test with each batch size and predict with one, in this many processes."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    trainer = pl.Trainer(
        accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto", logger=False,
        use_distributed_sampler=False, enable_checkpointing=False, enable_progress_bar=False,
    )  # fmt: skip
    task = load_task(checkpoint)
    metrics = []
    for size in BATCH_SIZES:
        data = SpeechData(test=manifest, predict=manifest, batch_size=size)
        metrics += trainer.test(task, datamodule=data, verbose=False)
    rows = gathered([row for batch in trainer.predict(task, datamodule=data) for row in batch])
    if trainer.is_global_zero:
        found = {"metrics": metrics, "rows": sorted(rows, key=lambda row: row["id"])}
        (Path(output) / f"{processes}.json").write_text(json.dumps(found))


def torchrun(processes, *arguments, cwd):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, __file__, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory):
    """What training gave, by number of processes and rank."""
    folder = tmp_path_factory.mktemp("trained_on")
    for processes in (1, 2, 3):
        torchrun(processes, "train", folder, cwd=folder)
    return {
        (processes, rank): torch.load(folder / f"{processes}-{rank}.pt")
        for processes in (1, 2, 3)
        for rank in range(processes)
    }


@pytest.mark.slow
def test_any_number_of_processes_follows_one_loss_curve(trained_on):
    reference = trained_on[1, 0]["ddp"]
    assert len(reference["losses"]) == 9
    assert reference["losses"][-1] < 0.8 * reference["losses"][0]
    for (processes, rank), found in trained_on.items():
        assert found["ddp"]["losses"] == pytest.approx(reference["losses"], rel=1e-6), (processes, rank)
        for name, value in reference["weights"].items():
            torch.testing.assert_close(found["ddp"]["weights"][name], value, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_each_rank_reads_its_own_part(trained_on):
    for processes in (1, 2, 3):
        seen = [trained_on[processes, rank]["ddp"]["seen"] for rank in range(processes)]
        assert sorted(itertools.chain(*seen)) == sorted(list(range(len(LENGTHS))) * 3)
        assert all(set(a).isdisjoint(b) for a, b in itertools.combinations(seen, 2))


@pytest.mark.slow
def test_gradients_travel_in_half_precision(trained_on):
    for processes in (2, 3):
        full, half = (trained_on[processes, 0][way]["weights"] for way in ("ddp", "half"))
        differences = torch.cat([(full[name] - half[name]).abs().flatten() for name in full])
        assert 1e-6 < differences.max() < 2e-2
        for name, value in half.items():
            assert torch.equal(value, trained_on[processes, 1]["half"]["weights"][name])


@pytest.mark.slow
def test_fp16_master_weights_follow_the_curve(trained_on):
    one = trained_on[1, 0]["master"]
    assert one["losses"][-1] < 0.8 * one["losses"][0]
    for found in trained_on.values():
        ours = found["master"]
        assert ours["losses"] == pytest.approx(one["losses"], rel=2e-3)
        for name, value in one["weights"].items():
            torch.testing.assert_close(ours["weights"][name], value, rtol=0, atol=5e-3)


@pytest.mark.slow
def test_evaluation_is_exact_for_any_number_of_processes_and_any_batch_size(trained, corpus, tmp_path):
    with gzip.open(corpus / "train.jsonl.gz", "rt") as file:
        lines = file.readlines()[:11]
    manifest = tmp_path / "eleven.jsonl.gz"
    with gzip.open(manifest, "wt") as file:
        file.writelines(lines)
    found = []
    for processes in (1, 2, 3):
        torchrun(processes, "evaluate", trained / "checkpoints" / "best.ckpt", manifest, tmp_path, cwd=tmp_path)
        found.append(json.loads((tmp_path / f"{processes}.json").read_text()))
    metrics = [row for each in found for row in each["metrics"]]
    assert len(metrics) == 15
    for row in metrics:
        assert row == pytest.approx(metrics[0], rel=1e-5)
        assert (row["test/wer"], row["test/cer"]) == (metrics[0]["test/wer"], metrics[0]["test/cer"])
    ids = sorted(json.loads(line)["id"] for line in lines)
    for each in found:
        assert [row["id"] for row in each["rows"]] == ids
        assert each["rows"] == found[0]["rows"]


@pytest.mark.slow
def test_evaluation_ends_on_ranks_without_a_batch(trained, corpus, tmp_path):
    with gzip.open(corpus / "train.jsonl.gz", "rt") as file:
        lines = file.readlines()[:2]
    manifest = tmp_path / "two.jsonl.gz"
    with gzip.open(manifest, "wt") as file:
        file.writelines(lines)
    found = []
    for processes in (1, 3):
        torchrun(processes, "evaluate", trained / "checkpoints" / "best.ckpt", manifest, tmp_path, cwd=tmp_path)
        found.append(json.loads((tmp_path / f"{processes}.json").read_text()))
    for row in found[1]["metrics"]:
        assert row == pytest.approx(found[0]["metrics"][0], rel=1e-5)
    assert found[1]["rows"] == found[0]["rows"]
    assert len(found[1]["rows"]) == 2


if __name__ == "__main__":
    if sys.argv[1] == "train":
        name = f"{os.environ['WORLD_SIZE']}-{os.environ['RANK']}.pt"
        torch.save(train_in_each_way(), Path(sys.argv[2]) / name)
    else:
        evaluate(*sys.argv[2:])
