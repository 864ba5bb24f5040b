"""OpenSeq2Seq's own tests of mixed precision (``mp_wrapper_test``), with its numbers."""

import functools

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.plugins.precision import HalfPrecision
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.precision.mixed import AutocastPrecision
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task

KEEPING = {
    "fp32": lambda: None,
    "fp16-master": lambda: MasterWeightsPrecision("fp16"),
    "bf16-master": lambda: MasterWeightsPrecision("bf16"),
    "fp16-mixed": lambda: AutocastPrecision("fp16"),
    "bf16-mixed": lambda: AutocastPrecision("bf16"),
}


class Linear(Task):
    name = "linear"
    monitor = "loss"

    def __init__(self, optimizer, features, regularizer=None):
        super().__init__(optimizer, regularizer=regularizer)
        self.net = nn.Linear(features, 1, bias=False)
        self.gradient = None

    def training_step(self, batch, batch_idx):
        x, y = batch
        return (self.net(x.to(self.net.weight.dtype)).float() - y).square().mean()

    def on_before_optimizer_step(self, optimizer):
        super().on_before_optimizer_step(optimizer)
        self.gradient = self.net.weight.grad.clone()


def fit(task, x, y, precision, steps, tmp_path):
    plugins = [] if precision is None else [precision]
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, plugins=plugins,
    )  # fmt: skip
    trainer.fit(task, DataLoader(TensorDataset(x, y), batch_size=len(x)))


def regularised_gradient(precision, tmp_path):
    task = Linear(functools.partial(torch.optim.SGD, lr=0.0), 2, L2Regularizer(1e-4))
    nn.init.constant_(task.net.weight, 1e-4)
    fit(task, torch.zeros(1, 2), torch.zeros(1, 1), precision, 1, tmp_path)
    return task.gradient.float()


@pytest.mark.parametrize("name", KEEPING)
def test_the_gradient_of_a_small_weights_decay_survives(tmp_path, name):
    gradient = regularised_gradient(KEEPING[name](), tmp_path)
    torch.testing.assert_close(gradient, torch.full((1, 2), 1e-8), rtol=0, atol=1e-11)


def test_the_gradient_of_a_small_weights_decay_is_lost_without_masters(tmp_path):
    assert torch.equal(regularised_gradient(HalfPrecision("16-true"), tmp_path), torch.zeros(1, 2))


@pytest.mark.parametrize("name", KEEPING)
def test_linear_regression_converges(tmp_path, name):
    torch.manual_seed(2)
    x, true = torch.randn(10, 10), torch.rand(10)
    task = Linear(functools.partial(torch.optim.Adam, lr=0.05), 10)
    fit(task, x, x @ true[:, None], KEEPING[name](), 1000, tmp_path)
    # the original had no bfloat16, whose weights and outputs near 1 are 2 ** -8 apart
    bound = 0.02 if name.startswith("bf16") else 0.01
    assert (task.net.weight[0] - true).abs().max() <= bound
