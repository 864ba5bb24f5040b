"""DeepSpeed ZeRO in two CPU processes as torchrun starts them, beside DDP: this file is also what they run."""

import functools
import importlib.util
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
from torch.utils.data import DataLoader

from s2s_core.averaging import WarmEma
from s2s_core.checkpoint import AtomicCheckpointIO
from s2s_core.errors import UserError
from s2s_core.losses.reduction import LossSum
from s2s_core.optim.larc import Larc
from s2s_core.optim.novograd import NovoGrad
from s2s_core.optim.schedules import Polynomial
from s2s_core.precision.loss_scale import StaticScale
from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.precision.mixed import AutocastPrecision
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.strategies.deepspeed import ZeroStrategy
from s2s_core.task import Task

STEPS = 50
WINDOW = 2
OPTIMIZERS = {
    "adamw": functools.partial(torch.optim.AdamW, lr=0.01, weight_decay=0.01),
    "novograd": functools.partial(NovoGrad, lr=0.02, weight_decay=0.001),
    "adagrad": functools.partial(torch.optim.Adagrad, lr=0.05),
}


class Net(Task):
    """A shared weight, a frozen one, batch and layer norms; losses counted in rows."""

    name = "net"
    monitor = "loss"

    def __init__(self, optimizer):
        super().__init__(optimizer, Polynomial(), Larc(0.1), L2Regularizer(0.001))
        torch.manual_seed(int(os.environ.get("RANK", "0")))  # the first process's weights are everybody's
        self.first = nn.Linear(4, 9)
        self.norms = nn.Sequential(nn.BatchNorm1d(9), nn.LayerNorm(9))
        self.second = nn.Linear(9, 9)
        self.third = nn.Linear(9, 9)
        self.third.weight = self.second.weight
        self.last = nn.Linear(9, 1)
        self.last.bias.requires_grad_(False)
        self.poison = set()

    def training_step(self, batch, batch_idx):
        x, y = batch
        hidden = self.norms(torch.tanh(self.first(x)))
        out = self.last(torch.tanh(self.third(torch.tanh(self.second(hidden)))))
        loss = self.normalised(LossSum((out.float() - y).square().sum(), torch.tensor(len(x))))
        return loss * (torch.inf if batch_idx in self.poison and self.global_rank == 1 else 1.0)

    def validation_step(self, batch, batch_idx):
        self.training_step(batch, batch_idx)


class Curve(Callback):
    """The losses of the steps taken; saves a checkpoint halfway."""

    def __init__(self, save):
        self.losses, self.save, self.steps = [], save, None

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps = trainer.global_step if self.steps is None else self.steps
        if (batch_idx + 1) % WINDOW == 0 or trainer.is_last_batch:
            self.losses.append(float(trainer.callback_metrics["train/loss"]))
            if self.save is not None and trainer.global_step == STEPS // 2:
                trainer.save_checkpoint(self.save)


def batches(rank, processes):
    """Of unequal sizes; the last window of an epoch has a single one. An epoch has half of the steps."""
    torch.manual_seed(11)
    sizes = [3, 5, 2, 7, 4] * 20
    x = [torch.randn(size, 4) for size in sizes[:98]]
    return DataLoader([(part, part.sum(1, keepdim=True)) for part in x[rank::processes]], batch_size=None)


def fit(strategy, optimizer="adamw", precision=None, save=None, ckpt_path=None, poison=(), callbacks=()):
    processes, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    task, curve = Net(OPTIMIZERS[optimizer]), Curve(save)
    task.poison = set(poison)
    trainer = pl.Trainer(
        accelerator="cpu", devices=processes, strategy=strategy, max_epochs=2, logger=False, log_every_n_steps=1,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, gradient_clip_val=0.5,
        use_distributed_sampler=False, accumulate_grad_batches=WINDOW, callbacks=[curve, *callbacks],
        plugins=[AtomicCheckpointIO(), *([] if precision is None else [precision])], num_sanity_val_steps=0,
        limit_val_batches=1,
    )  # fmt: skip
    loader = batches(rank, processes)
    trainer.fit(task, loader, loader, ckpt_path=ckpt_path)
    return {"losses": curve.losses, "skipped": getattr(precision, "skipped_steps", 0), "steps": trainer.global_step}


def runs(folder):
    """Name to what is trained: the strategies beside DDP, the precisions, and going on from one another's files."""
    master, mixed = MasterWeightsPrecision, AutocastPrecision
    ddp = DDPStrategy
    zero = ZeroStrategy
    overflowing = {"poison": (7, 20)}

    def fp16(kind):
        return kind("fp16", StaticScale(64.0))

    return {
        "ddp": lambda: fit(ddp(), save=folder / "ddp.ckpt"),
        "zero1": lambda: fit(zero(1)),
        "zero2": lambda: fit(zero(2), save=folder / "zero2.ckpt"),
        "zero3": lambda: fit(zero(3), save=folder / "zero3.ckpt"),
        "zero2-offload": lambda: fit(zero(2, offload_optimizer=True)),
        "zero3-offload": lambda: fit(zero(3, offload_optimizer=True, offload_parameters=True)),
        "ddp/novograd": lambda: fit(ddp(), "novograd"),
        "zero2/novograd": lambda: fit(zero(2), "novograd"),
        "zero3/novograd": lambda: fit(zero(3), "novograd"),
        "ddp/adagrad": lambda: fit(ddp(), "adagrad"),
        "zero3/adagrad": lambda: fit(zero(3), "adagrad"),
        "ddp/bf16-master": lambda: fit(ddp(), precision=master("bf16")),
        "zero2/bf16-master": lambda: fit(zero(2), precision=master("bf16"), save=folder / "zero2-bf16.ckpt"),
        "zero3/bf16-master": lambda: fit(zero(3), precision=master("bf16"), save=folder / "zero3-bf16.ckpt"),
        "ddp/fp16-master": lambda: fit(ddp(), precision=fp16(master), **overflowing),
        "zero2/fp16-master": lambda: fit(zero(2), precision=fp16(master), **overflowing),
        "zero3/fp16-master": lambda: fit(zero(3), precision=fp16(master), **overflowing),
        "ddp/fp16-mixed": lambda: fit(ddp(), precision=fp16(mixed), **overflowing),
        "zero2/fp16-mixed": lambda: fit(zero(2), precision=fp16(mixed), **overflowing),
        "zero3/fp16-mixed": lambda: fit(zero(3), precision=fp16(mixed), **overflowing),
        "zero2/ema": lambda: fit(zero(2), callbacks=[WarmEma()], save=folder / "zero2-ema.ckpt"),
        "ddp/ema": lambda: fit(ddp(), callbacks=[WarmEma()], save=folder / "ddp-ema.ckpt"),
        "zero3, then zero3": lambda: fit(zero(3), ckpt_path=folder / "zero3.ckpt"),
        "zero3, then zero2": lambda: fit(zero(2), ckpt_path=folder / "zero3.ckpt"),
        "zero3, then ddp": lambda: fit(ddp(), ckpt_path=folder / "zero3.ckpt"),
        "ddp, then zero3": lambda: fit(zero(3), ckpt_path=folder / "ddp.ckpt"),
        "zero3 bf16, then zero3 bf16": lambda: fit(
            zero(3), precision=master("bf16"), ckpt_path=folder / "zero3-bf16.ckpt"
        ),
        "zero2 bf16, then ddp": lambda: fit(ddp(), ckpt_path=folder / "zero2-bf16.ckpt"),
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What the runs gave, and the folder with their checkpoints."""
    if importlib.util.find_spec("deepspeed") is None:
        pytest.skip("DeepSpeed is not installed: pip install 's2s-core[deepspeed]'")
    folder = tmp_path_factory.mktemp("zero")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, __file__, str(folder)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return torch.load(folder / "runs.pt"), folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        *((name, 1e-5) for name in ("zero1", "zero2", "zero3", "zero2-offload", "zero3-offload")),
        *((name, 2e-3) for name in ("zero2/novograd", "zero3/novograd", "zero3/adagrad", "zero2/ema")),
        *((f"zero{stage}/{precision}", 3e-2) for stage in (2, 3) for precision in ("bf16-master", "fp16-master")),
        *((f"zero{stage}/fp16-mixed", 3e-2) for stage in (2, 3)),
    ],
)
def test_losses_are_ddps_over_50_steps(trained, name, tolerance):
    runs, _ = trained
    _, _, kind = name.partition("/")
    ours, ddps = runs[name], runs[f"ddp/{kind}" if kind else "ddp"]
    assert len(ddps["losses"]) == STEPS
    assert ours["losses"] == pytest.approx(ddps["losses"], rel=tolerance)
    assert (ours["skipped"], ours["steps"]) == (ddps["skipped"], ddps["steps"])
    if kind.startswith("fp16"):
        assert (ours["skipped"], ours["steps"]) == (4, STEPS - 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zero2", "zero3", "zero2-ema"])
def test_a_checkpoint_is_the_one_that_ddp_writes(trained, name):
    _, folder = trained
    ours = torch.load(folder / f"{name}.ckpt", weights_only=True)
    ddps = torch.load(folder / ("ddp-ema.ckpt" if "ema" in name else "ddp.ckpt"), weights_only=True)
    # what differs is the strategy's and the random generators' alone
    assert ours.keys() == ddps.keys()
    for section in ("state_dict", "optimizer_states", "current_model_state"):
        if section in ddps:
            torch.testing.assert_close(ours[section], ddps[section], rtol=1e-4, atol=1e-5)
    assert ours["global_step"] == STEPS // 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "whole", "tolerance"),
    [
        ("zero3, then zero3", "zero3", 1e-6),
        ("zero3, then zero2", "zero3", 1e-5),
        ("zero3, then ddp", "zero3", 1e-5),
        ("ddp, then zero3", "ddp", 1e-5),
        ("zero3 bf16, then zero3 bf16", "zero3/bf16-master", 1e-6),
        ("zero2 bf16, then ddp", "zero2/bf16-master", 3e-2),
    ],
)
def test_a_run_goes_on_under_any_strategy_and_precision(trained, name, whole, tolerance):
    runs, _ = trained
    assert runs[name]["losses"] == pytest.approx(runs[whole]["losses"][STEPS // 2 :], rel=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zero3", "zero2-bf16", "zero3-bf16"])
def test_its_weights_load_into_a_plain_module(trained, name):
    _, folder = trained
    state = torch.load(folder / f"{name}.ckpt", weights_only=True)["state_dict"]
    task = Net(OPTIMIZERS["adamw"])
    task.load_state_dict(state)
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float32}
    ddps = torch.load(folder / "ddp.ckpt", weights_only=True)["state_dict"]
    for key, value in ddps.items():
        torch.testing.assert_close(state[key], value, rtol=0, atol=5e-2)
    assert torch.equal(state["last.bias"], ddps["last.bias"]), "a frozen weight is not rounded"


def test_without_deepspeed_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs DeepSpeed: pip install 's2s-core\[deepspeed\]'"):
        ZeroStrategy()


@pytest.mark.parametrize(("options", "message"), [({"stage": 4}, "got 4"), ({"offload_parameters": True}, "stage 2")])
def test_impossible_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ZeroStrategy(**options)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    results = {}
    for label, run in runs(target).items():
        print(label, file=sys.stderr, flush=True)
        results[label] = run()
    if os.environ["RANK"] == "0":
        torch.save(results, target / "runs.pt")
