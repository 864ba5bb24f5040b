import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from s2s_lm.averaging import NonMonotoneAverage


class Falling(LightningModule):
    """A weight that goes up by one a step, and a validation loss as told."""

    def __init__(self, losses):
        super().__init__()
        self.weight, self.losses = nn.Parameter(torch.zeros(())), list(losses)
        self.seen = []

    def training_step(self, batch, batch_idx):
        return -self.weight

    def validation_step(self, batch, batch_idx):
        self.seen.append(float(self.weight))
        self.log("val/loss", self.losses.pop(0))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def run(folder, losses, epochs, callback, path=None):
    module = Falling(losses)
    loaders = [torch.utils.data.DataLoader(torch.zeros(size, 1)) for size in (2, 1)]
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.callbacks.append(callback)
    trainer.fit(module, *loaders, ckpt_path=path)
    return trainer, module


def test_averaging_begins_when_validation_is_no_better_than_long_ago(tmp_path):
    # after the fourth validation, 4.5 is worse than 4, the best of all but the last two
    callback = NonMonotoneAverage(patience=2)
    _, module = run(tmp_path, [4, 5, 3.5, 4.5, 4, 4], 6, callback)
    assert module.seen[:4] == [2, 4, 6, 8]  # the weights themselves
    assert module.seen[4:] == [(9 + 10) / 2, (9 + 10 + 11 + 12) / 4]
    assert float(module.weight) == 10.5
    assert callback.averaged == 4


def test_it_never_begins_while_validation_improves_and_goes_on_from_a_checkpoint(tmp_path):
    trainer, module = run(tmp_path, [6, 5, 4, 3], 4, NonMonotoneAverage(patience=1))
    assert module.seen == [2, 4, 6, 8]
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    callback = NonMonotoneAverage(patience=1)
    _, resumed = run(tmp_path, [9, 9, 9], 7, callback, tmp_path / "half.ckpt")
    assert resumed.seen == [10, (11 + 12) / 2, (11 + 12 + 13 + 14) / 4]
    assert callback.history[:4] == [6, 5, 4, 3]
