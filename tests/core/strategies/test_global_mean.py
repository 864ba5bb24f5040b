"""One average over micro-batches of unequal weight; over ranks, see tests/system/test_ddp.py."""

import csv
import functools

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader

from s2s_core.losses.reduction import LossSum
from s2s_core.precision.loss_scale import StaticScale
from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.precision.mixed import AutocastPrecision
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.strategies.global_mean import GlobalMean
from s2s_core.task import Task

ROWS = [3, 1, 7, 2, 5, 4, 9, 1]


class Rows(Task):
    """Squared errors summed over rows, counted in rows."""

    name = "rows"
    monitor = "loss"

    def __init__(self, optimizer, dtype=torch.float64):
        super().__init__(optimizer, regularizer=L2Regularizer(0.01))
        torch.manual_seed(5)
        self.net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)).to(dtype)
        self.returned = []

    def training_step(self, batch, batch_idx):
        x, y = batch
        errors = (self.net(x) - y).square().sum()
        self.returned.append(self.normalised(LossSum(errors.to(y.dtype), torch.tensor(len(x)))))
        return self.returned[-1]


def rows(sizes, dtype=torch.float64):
    torch.manual_seed(11)
    x = torch.randn(sum(sizes), 4, dtype=dtype)
    return [(part, part.sum(1, keepdim=True) + 1.0) for part in x.split(sizes)]


def joined(batches, window):
    windows = [batches[i : i + window] for i in range(0, len(batches), window)]
    return [tuple(torch.cat(parts) for parts in zip(*chosen, strict=True)) for chosen in windows]


def fit(task, batches, window, tmp_path, **options):
    options = {"logger": False, "gradient_clip_val": 0.9, **options}
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accumulate_grad_batches=window, **options,
    )  # fmt: skip
    trainer.fit(task, DataLoader(batches, batch_size=None))
    return {name: value.detach().clone() for name, value in task.named_parameters()}


@pytest.mark.parametrize("window", [2, 3, 8])
def test_accumulated_batches_of_any_size_are_the_large_batch(tmp_path, window):
    # of 8 batches, windows of 3 leave a last one of 2
    make = functools.partial(Rows, functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9))
    accumulated = fit(make(), rows(ROWS), window, tmp_path)
    large = fit(make(), joined(rows(ROWS), window), 1, tmp_path)
    for name, value in large.items():
        torch.testing.assert_close(accumulated[name], value, rtol=0, atol=1e-12)


def test_the_loss_that_is_logged_is_the_steps(tmp_path):
    make = functools.partial(Rows, functools.partial(torch.optim.SGD, lr=0.0))
    curves = []
    for batches, window in ((rows(ROWS), 3), (joined(rows(ROWS), 3), 1)):
        folder = tmp_path / str(window)
        logger = CSVLogger(folder, name="", version="")
        fit(make(), batches, window, tmp_path, logger=logger, log_every_n_steps=1)
        with (folder / "metrics.csv").open() as file:
            found = {int(row["step"]): float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]}
        curves.append(found)
    accumulated, large = curves
    assert len(large) == 6
    assert accumulated == pytest.approx(large, rel=1e-6)
    model = make()
    expected = [float((model.net(x) - y).square().mean()) for x, y in joined(rows(ROWS), 3)]
    assert list(large.values()) == pytest.approx(expected * 2, rel=1e-6)


@pytest.mark.parametrize("kind", [MasterWeightsPrecision, AutocastPrecision])
def test_half_precision_sees_losses_of_a_means_size(tmp_path, kind):
    sizes = [6000, 2000, 14000, 4000]  # sums would overflow float16 with this scale, and means do not
    make = functools.partial(Rows, functools.partial(torch.optim.SGD, lr=0.01), torch.float32)
    task = make()
    precision = kind("fp16", StaticScale(512.0))
    accumulated = fit(task, rows(sizes, torch.float32), 2, tmp_path, plugins=[precision])
    assert precision.skipped_steps == 0
    assert all(0.1 < float(value) < 100.0 for value in task.returned)
    large = fit(make(), joined(rows(sizes, torch.float32), 2), 1, tmp_path)
    for name, value in large.items():
        torch.testing.assert_close(accumulated[name], value, rtol=0, atol=1e-3)


def test_outside_a_trainer_a_loss_is_over_its_own_count():
    task = Rows(functools.partial(torch.optim.SGD, lr=0.1))
    assert float(task.normalised(LossSum(torch.tensor(6.0), torch.tensor(4)))) == 1.5


def test_an_empty_window_is_zero_and_changes_nothing():
    mean = GlobalMean()
    assert mean.value is None
    assert mean.correction(4) is None
    returned = mean.add(LossSum(torch.tensor(0.0), torch.tensor(0)))
    assert (float(returned), float(mean.value)) == (0.0, 0.0)
    assert float(mean.correction(2)) == 2.0
    assert mean.correction(1) is None


def test_the_correction_undoes_the_trainers_division():
    mean = GlobalMean()
    weights = [4.0, 10.0, 2.0]
    leaves = [torch.tensor(1.0, requires_grad=True) for _ in weights]
    for leaf, weight in zip(leaves, weights, strict=True):
        (mean.add(LossSum(leaf * weight, torch.tensor(weight))) / 5).backward()
    gradients = [float(leaf.grad * mean.correction(5)) for leaf in leaves]
    assert gradients == pytest.approx([weight / 16 for weight in weights])
    assert float(mean.value) == 1.0
