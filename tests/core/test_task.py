import csv
import functools

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from s2s_core.errors import UserError
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Polynomial
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task


class Regression(Task):
    name = "regression"
    monitor = "loss"

    def __init__(self, optimizer, schedule=None, larc=None, regularizer=None):
        super().__init__(optimizer, schedule, larc, regularizer)
        self.net = nn.Linear(2, 1, bias=False, dtype=torch.float64)
        nn.init.constant_(self.net.weight, 2.0)

    def training_step(self, batch, batch_idx):
        return 100.0 * self.net(batch[0]).square().mean()


def run(task, tmp_path, steps=1, **trainer):
    data = DataLoader(TensorDataset(torch.tensor([[3.0, 4.0]], dtype=torch.float64).repeat(steps, 1)))
    pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, **trainer,
    ).fit(task, data)  # fmt: skip
    return task.net.weight.detach()[0]


def sgd(**options):
    return functools.partial(torch.optim.SGD, **options)


# y = 2*3 + 2*4 = 14; d(100 y^2)/dw = 200*14*(3, 4)
GRADIENT = torch.tensor([8400.0, 11200.0], dtype=torch.float64)
START = torch.tensor([2.0, 2.0], dtype=torch.float64)


def test_regulariser_then_clipping_then_larc(tmp_path):
    task = Regression(sgd(lr=0.5), larc=Larc(0.001), regularizer=L2Regularizer(10.0))
    weight = run(task, tmp_path, gradient_clip_val=1.0)
    gradient = GRADIENT + 10.0 * START
    gradient = gradient / (gradient.norm() + 1e-6)
    gradient = gradient * min(1.0, 0.001 * START.norm() / (0.5 * (gradient.norm() + 1e-7)))
    torch.testing.assert_close(weight, START - 0.5 * gradient, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("algorithm", "expected"), [("norm", GRADIENT / 14000), ("value", torch.ones_like(GRADIENT))])
def test_a_fused_optimizer_clips_under_autocast(tmp_path, algorithm, expected):
    # Lightning's own plugin refuses this combination
    weight = run(
        Regression(sgd(lr=0.1, fused=True)), tmp_path, precision="bf16-mixed", gradient_clip_val=1.0,
        gradient_clip_algorithm=algorithm,
    )  # fmt: skip
    torch.testing.assert_close(weight, START - 0.1 * expected, rtol=1e-2, atol=1e-3)


def test_the_learning_rate_is_the_schedules_at_each_step(tmp_path):
    class Watched(Regression):
        def on_train_batch_end(self, *arguments):
            seen.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    seen = []
    run(Watched(sgd(lr=0.25), Polynomial(power=2.0)), tmp_path, steps=5)
    assert seen == pytest.approx([0.25 * (1 - step / 5) ** 2 for step in range(5)])


def test_the_generator_depends_on_the_step_and_the_batch_only():
    task = Regression(sgd(lr=0.1))
    torch.manual_seed(3)
    first = torch.rand(2, generator=task.step_generator(0))
    torch.rand(7)
    assert torch.equal(first, torch.rand(2, generator=task.step_generator(0)))
    assert not torch.equal(first, torch.rand(2, generator=task.step_generator(1)))
    torch.manual_seed(4)
    assert not torch.equal(first, torch.rand(2, generator=task.step_generator(0)))


def test_a_model_with_nothing_to_train_says_so():
    task = Regression(sgd(lr=0.1))
    task.requires_grad_(False)
    with pytest.raises(UserError, match="every parameter is frozen"):
        task.configure_optimizers()


@pytest.mark.parametrize("accumulated", [1, 2])
def test_figures_are_of_the_step_they_are_written_for(tmp_path, accumulated):
    # three steps an epoch, figures every two: they must not wait for an epoch that both divide
    data = DataLoader(TensorDataset(torch.tensor([[3.0, 4.0]], dtype=torch.float64).repeat(3 * accumulated, 1)))
    pl.Trainer(
        max_epochs=4, accelerator="cpu", logger=CSVLogger(tmp_path, name="", version=""), log_every_n_steps=2,
        accumulate_grad_batches=accumulated, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(Regression(sgd(lr=1e-6), Polynomial()), data)  # fmt: skip
    with (tmp_path / "metrics.csv").open() as file:
        # the last row of a step is of its last batch, with which the weights change
        rates = {int(row["step"]): float(row["train/lr"]) for row in csv.DictReader(file) if row["train/lr"]}
    assert rates == pytest.approx({step: 1e-6 * (1 - step / 12) for step in (1, 3, 5, 7, 9, 11)})
