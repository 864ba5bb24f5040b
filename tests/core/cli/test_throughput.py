import csv
import functools

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from s2s_core.cli import throughput
from s2s_core.task import Task


class Tiny(Task):
    name = "tiny"
    monitor = "loss"
    example_unit = "rows"

    def __init__(self):
        super().__init__(functools.partial(torch.optim.SGD, lr=0.1))
        self.net = nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.net(batch[0]).sum()

    def units_of(self, batch):
        return {"rows": len(batch[0]), "audio s": batch[0].sum()}


@pytest.fixture
def figures(tmp_path, monkeypatch):
    """A function that trains on batches of three rows and returns what was logged, by a clock of its own."""
    clock = iter(range(1000))  # every look at the clock is one second later
    monkeypatch.setattr(throughput.time, "monotonic", lambda: next(clock))

    def train(batches, **options):
        logger = CSVLogger(tmp_path, name="", version="")
        data = DataLoader(TensorDataset(torch.full((3 * batches, 1), 2.5)), batch_size=3)
        trainer = pl.Trainer(
            max_epochs=1, accelerator="cpu", logger=logger, callbacks=[throughput.Throughput()], log_every_n_steps=2,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
        )  # fmt: skip
        trainer.fit(Tiny(), data)
        with (tmp_path / "metrics.csv").open() as file:
            rows = [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(file)]
        return [row for row in rows if row["speed/steps_per_s"] > 0]

    return train


def test_rates_count_the_steps_since_the_last_figures(figures):
    rows = figures(4)
    # two steps in one second of this clock: it is read when the first begins and when the second has ended
    assert [row["speed/steps_per_s"] for row in rows] == [2.0, 2.0]
    assert [row["speed/rows_per_s"] for row in rows] == [6.0, 6.0]
    assert rows[0]["speed/audio_s_per_s"] == pytest.approx(15.0)
    assert rows[0]["speed/memory_mb"] > 50


def test_batches_whose_gradients_are_accumulated_are_one_step(figures):
    rows = figures(8, accumulate_grad_batches=2)
    assert [row["step"] for row in rows] == [1, 3]
    assert [row["speed/steps_per_s"] for row in rows] == [2.0, 2.0]
    assert [row["speed/rows_per_s"] for row in rows] == [12.0, 12.0]
