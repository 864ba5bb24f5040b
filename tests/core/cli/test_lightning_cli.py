"""The checkpoint that a run goes on from."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from s2s_core.cli.lightning_cli import LastCheckpoint


class Line(LightningModule):
    """A weight that grows by one a step."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        return -self.weight

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def saved(tmp_path, every, **limits):
    """The last checkpoint of seven batches an epoch, and how often there was one."""
    last = LastCheckpoint(
        dirpath=tmp_path, filename="last", every_n_train_steps=every, save_on_train_epoch_end=False,
        enable_version_counter=False,
    )  # fmt: skip
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[last],
        **limits,
    )
    steps = []
    save = trainer.save_checkpoint
    trainer.save_checkpoint = lambda *args, **kwargs: (steps.append(trainer.global_step), save(*args, **kwargs))
    trainer.fit(Line(), DataLoader(torch.zeros(7, 1)))
    return torch.load(tmp_path / "last.ckpt", weights_only=True), steps


@pytest.mark.parametrize("limits", [{"max_steps": 5}, {"max_epochs": 1}])
def test_the_end_is_saved_whatever_the_interval(tmp_path, limits):
    content, steps = saved(tmp_path, 200, **limits)
    end = limits.get("max_steps", 7)
    assert content["global_step"] == float(content["state_dict"]["weight"]) == end
    assert steps == [end]


def test_an_end_that_the_interval_falls_on_is_saved_once(tmp_path):
    content, steps = saved(tmp_path, 5, max_steps=10, max_epochs=3)
    assert steps == [5, 10]
    assert content["global_step"] == 10
