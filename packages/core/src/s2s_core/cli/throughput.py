"""How fast training goes and how much memory it takes, as logged figures."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from s2s_core.task import Task


class Throughput(Callback):
    """Logs ``speed/steps_per_s``, ``speed/UNIT_per_s`` for each of the task's units, and ``speed/memory_mb``.

    Rates are over the steps since the last figures, validation and saving left out. Memory is the peak: the device's
    on CUDA, the process's elsewhere.
    """

    def __init__(self) -> None:
        self._busy_s = 0.0
        self._began_s = 0.0
        self._batches = 0
        self._steps = 0
        self._last_step = 0
        self._units: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_step = trainer.global_step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._batches == 0:
            self._began_s = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stepped = trainer.global_step != self._last_step  # not after a batch whose gradients are only accumulated
        self._last_step = trainer.global_step
        self._batches += 1
        self._steps += stepped
        if isinstance(pl_module, Task):
            for unit, count in pl_module.units_of(batch).items():
                # tensors stay on the device until they are logged
                self._units[unit] = self._units.get(unit, 0.0) + count
        if stepped and trainer.global_step % max(1, getattr(trainer, "log_every_n_steps", 1)) == 0:
            self._log(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._batches:
            self._busy_s += time.monotonic() - self._began_s

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began_s = time.monotonic()

    def _log(self, trainer: Trainer, pl_module: LightningModule) -> None:
        elapsed_s = self._busy_s + time.monotonic() - self._began_s
        figures = {"speed/steps_per_s": self._steps / elapsed_s, "speed/memory_mb": peak_memory_mb(pl_module.device)}
        for unit, count in self._units.items():
            figures[f"speed/{unit.replace(' ', '_')}_per_s"] = float(count) / elapsed_s * trainer.world_size
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step - 1)  # Lightning's figures of a step bear its index
        self._busy_s, self._batches, self._steps, self._units = 0.0, 0, 0, {}


def peak_memory_mb(device: torch.device) -> float:
    """The most memory in use so far: allocated on a CUDA device, resident of the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
