import functools
import json

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from s2s_core.precision.loss_scale import Backoff, StaticScale
from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.precision.report import PrecisionReport
from s2s_core.task import Task

# scaled by 2 ** 4: 0, a subnormal, two ordinary numbers and one within a factor of two of 65504
GRADIENTS = torch.tensor([0.0, 2.0**-20, 2.0**-10, 1.0, 40000.0 / 16])


class Given(Task):
    """Its gradients are what they are told to be."""

    name = "given"
    monitor = "loss"

    def __init__(self):
        super().__init__(functools.partial(torch.optim.SGD, lr=0.0))
        self.first = nn.Linear(5, 1, bias=False)
        self.second = nn.Linear(5, 1, bias=False)
        self.factor = 1.0

    def training_step(self, batch, batch_idx):
        if batch_idx == 1:
            return self.first.weight.sum() * torch.inf
        return (self.first.weight * GRADIENTS).sum() + self.second.weight.sum()


def fit(precision, tmp_path, report, logger=None, **options):
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=logger or CSVLogger(tmp_path), log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, plugins=precision, callbacks=[report], **options,
    )  # fmt: skip
    trainer.fit(Given(), DataLoader(TensorDataset(torch.zeros(4, 1))))
    return trainer


def test_gradients_are_counted_where_they_lie(tmp_path):
    report = PrecisionReport()
    trainer = fit(MasterWeightsPrecision("fp16", StaticScale(16.0)), tmp_path, report)
    first, second = report.layers["first"], report.layers["second"]
    assert report.measured_steps == 3
    assert (first.zero, first.subnormal, first.saturating, first.total) == (3, 3, 3, 15)
    assert (first.underflow, first.saturation) == (0.4, 0.2)
    assert (second.zero, second.subnormal, second.saturating, second.total) == (0, 0, 0, 15)
    logged = trainer.logged_metrics
    assert logged["underflow/first"] == pytest.approx(0.4)
    assert logged["saturation/first"] == pytest.approx(0.2)
    assert logged["precision/loss_scale"] == 16.0
    assert logged["precision/skipped_steps"] == 1.0


def test_the_table_tells_of_scale_skips_and_the_worst_layers(tmp_path, caplog):
    caplog.set_level("INFO", "s2s_core")
    fit(MasterWeightsPrecision("fp16", Backoff(scale_max=16.0)), tmp_path, PrecisionReport())
    [table] = [record.message for record in caplog.records if record.name.startswith("s2s_core.precision.report")]
    lines = table.splitlines()
    assert lines[0] == (
        "precision fp16-master: gradients measured at 3 of 3 steps; 1 steps skipped; "
        "loss scale 8 at the end, 8 to 16 on the way"
    )
    assert lines[1].split()[-3:] == ["zero", "subnormal", "saturating"]
    assert lines[2].split() == ["first", "20.00%", "20.00%", "6.67%"]
    assert len(lines) == 3, "the second layer's gradients are ordinary"


def test_the_table_of_bf16_has_no_loss_scale(tmp_path, caplog):
    caplog.set_level("INFO", "s2s_core")
    fit(MasterWeightsPrecision("bf16"), tmp_path, PrecisionReport(), limit_train_batches=1)
    [table] = [record.message for record in caplog.records if record.name.startswith("s2s_core.precision.report")]
    lines = table.splitlines()
    assert lines[0] == "precision bf16-master: gradients measured at 1 of 1 steps"
    assert lines[2].split() == ["first", "20.00%", "0.00%", "0.00%"]


def test_it_does_nothing_in_float32(tmp_path, caplog):
    caplog.set_level("INFO", "s2s_core")
    report = PrecisionReport()
    fit(None, tmp_path, report, limit_train_batches=1)
    assert not report.layers
    assert not [record for record in caplog.records if record.name.startswith("s2s_core")]


@pytest.mark.slow
def test_weights_and_biases_gets_the_figures_and_the_table(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="wandb is not installed: pip install 's2s-core[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger(save_dir=tmp_path, offline=True)
    fit(MasterWeightsPrecision("fp16", StaticScale(16.0)), tmp_path, PrecisionReport(), logger)
    summary = dict(logger.experiment.summary)
    logger.experiment.finish()
    wandb.teardown()  # its helper process, which every process started from here would be told to use
    assert summary["precision/loss_scale"] == 16.0
    assert summary["underflow/first"] == pytest.approx(0.4)
    [table] = tmp_path.glob("wandb/offline-run-*/files/media/table/precision/layers_*.table.json")
    written = json.loads(table.read_text())
    assert written["columns"] == ["layer", "underflow", "saturation"]
    assert written["data"] == [["first", pytest.approx(0.4), pytest.approx(0.2)], ["second", 0.0, 0.0]]


def test_tensorboard_gets_the_table(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    fit(MasterWeightsPrecision("bf16"), tmp_path, PrecisionReport(), logger)
    events = EventAccumulator(logger.log_dir).Reload()
    [text] = events.Tensors("precision/report/text_summary")
    assert b"precision bf16-master: gradients measured at" in text.tensor_proto.string_val[0]
