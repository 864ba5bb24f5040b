"""Master weights under DDP, in two processes as torchrun starts them: this file is also what they run."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.utils.data import DataLoader

from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.task import Task

GLOBAL_BATCH = 16
BATCHES = 6


class Net(Task):
    name = "net"
    monitor = "loss"

    def __init__(self, optimizer, seed):
        super().__init__(optimizer)
        torch.manual_seed(seed)
        self.net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = (self.net(x).float() - y).square().mean()
        return loss * (torch.inf if batch_idx == 3 and self.global_rank == self.trainer.world_size - 1 else 1.0)


def train(folder, processes, window, optimizer):
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    task = Net(functools.partial(getattr(torch.optim, optimizer), lr=0.1), seed=rank)
    torch.manual_seed(11)
    x = torch.randn(BATCHES, processes, GLOBAL_BATCH // processes, 4)
    own = DataLoader([(part[rank], part[rank].sum(1, keepdim=True)) for part in x], batch_size=None)
    precision = MasterWeightsPrecision("fp16")
    trainer = pl.Trainer(
        accelerator="cpu", devices=processes, strategy=DDPStrategy() if processes > 1 else "auto", max_epochs=1,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        plugins=[precision], accumulate_grad_batches=window, use_distributed_sampler=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(task, own)
    result = {"weights": task.state_dict(), "steps": trainer.global_step, "skipped": precision.skipped_steps}
    torch.save(result, Path(folder) / f"{processes}-{rank}.pt")


@pytest.mark.slow
@pytest.mark.parametrize(("window", "optimizer"), [(1, "Adagrad"), (2, "SGD")])
def test_two_processes_take_the_steps_of_one_with_the_same_batches(tmp_path, window, optimizer):
    train(tmp_path, 1, window, optimizer)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run([*launcher, __file__, str(tmp_path), str(window), optimizer], check=True, timeout=200)
    one, first, second = (torch.load(tmp_path / name) for name in ("1-0.pt", "2-0.pt", "2-1.pt"))
    steps = BATCHES // window
    for result in (one, first, second):
        assert (result["steps"], result["skipped"]) == (steps - 1, 1)
    for name, value in one["weights"].items():
        # the second process began with other weights
        assert torch.equal(first["weights"][name], second["weights"][name])
        assert first["weights"][name].dtype == torch.float32
        torch.testing.assert_close(first["weights"][name], value, rtol=0, atol=1e-3)


if __name__ == "__main__":
    train(sys.argv[1], 2, int(sys.argv[2]), sys.argv[3])
