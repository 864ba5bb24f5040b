"""Averages of the weights that begin when training stops getting better."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class NonMonotoneAverage(WeightAveraging):
    """NT-ASGD with any optimizer (Merity et al. 2018, https://arxiv.org/abs/1708.02182, section 3).

    After each validation whose ``monitor`` is no better than the best of those more than ``patience`` validations ago,
    averaging begins: from then on validation and saved weights are the plain mean of the weights after every
    step. Until then they are the weights themselves. With SGD this is the paper's algorithm.

    Args:
        patience: the paper's ``n``.
        monitor: a logged validation metric that should fall.

    Raises:
        ValueError: if ``patience`` is below 1.
    """

    def __init__(self, patience: int = 5, monitor: str = "val/loss") -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        self.patience, self.monitor = patience, monitor
        self.history: list[float] = []
        self.averaged = 0
        """Steps in the average; 0 until averaging begins."""
        self.triggered = False
        super().__init__(use_buffers=True, multi_avg_fn=self._average)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return self.triggered and step_idx is not None

    @torch.no_grad()
    def _average(self, averages: list[Tensor], current: list[Tensor], num_averaged: Tensor | int) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, current, 1 / self.averaged)  # pyright: ignore[reportPrivateImportUsage]
        else:
            for average, value in zip(averages, current, strict=True):
                average.copy_(value)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.triggered and trainer.global_step > self._latest_update_step:
            self.averaged += 1
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._follow(pl_module)
        super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or self.triggered or self.monitor not in trainer.callback_metrics:
            return
        value = float(trainer.callback_metrics[self.monitor])
        if len(self.history) > self.patience and value > min(self.history[: -self.patience]):
            self.triggered = True
        self.history.append(value)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._follow(pl_module)
        super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._follow(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def _follow(self, pl_module: LightningModule) -> None:
        if self._average_model is not None and not self.averaged:
            self._average_model.module.load_state_dict(pl_module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        own = {"history": self.history, "averaged": self.averaged, "triggered": self.triggered}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.history, self.averaged = state_dict["history"], state_dict["averaged"]
        self.triggered = state_dict["triggered"]
