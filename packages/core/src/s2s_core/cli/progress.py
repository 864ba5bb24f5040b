"""Training progress in one line: loss, error rate, rate and time left."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
LINE_EVERY_S = 20.0
"""How often a log file, which cannot be redrawn, gets a line."""


class RunProgress(ProgressBar):
    """One bar for the whole run instead of one an epoch; plain lines where the output is no terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._bar: tqdm | None = None
        self._latest: dict[str, Any] = {}
        self._last_line_s = 0.0
        self._last_line_step = -1

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = trainer.estimated_stepping_batches
        self._bar = tqdm(
            total=None if total == float("inf") else int(total),
            initial=trainer.global_step,
            unit="step",
            dynamic_ncols=True,
            disable=not self._enabled,
            file=sys.stderr if sys.stderr.isatty() else _Silent(),
            bar_format=BAR,
        )
        self._bar.set_description_str(_epoch(trainer), refresh=False)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        bar = self._bar
        if bar is None or not self._enabled:
            return
        bar.update(trainer.global_step - bar.n)
        # here, because at the end of training Lightning already counts the epoch that would come next
        bar.set_description_str(_epoch(trainer), refresh=False)
        if trainer.global_step == 1 or trainer.global_step % max(1, getattr(trainer, "log_every_n_steps", 1)) == 0:
            self._refresh(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar is not None and not trainer.sanity_checking:
            self._refresh(trainer, pl_module, line=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar is not None:
            self._refresh(trainer, pl_module, line=self._last_line_step != self._bar.n)
            self._bar.close()
            self._bar = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _refresh(self, trainer: Trainer, pl_module: LightningModule, line: bool = False) -> None:
        bar = self._bar
        if bar is None or not self._enabled:
            return
        # metrics come and go with the hooks that log them; the last value of each stays on show
        self._latest.update({k: v for k, v in self.get_metrics(trainer, pl_module).items() if k != "v_num"})
        shown = {name.removeprefix("train/"): _short(value) for name, value in self._latest.items()}
        bar.set_postfix(shown)
        if not sys.stderr.isatty() and (line or time.monotonic() - self._last_line_s > LINE_EVERY_S):
            self._last_line_s, self._last_line_step = time.monotonic(), int(bar.n)
            print(str(bar).replace("\r", ""), file=sys.stderr, flush=True)


def _epoch(trainer: Trainer) -> str:
    limit = trainer.max_epochs or -1
    return f"epoch {trainer.current_epoch + 1}" + (f"/{limit}" if limit > 0 else "")


class _Silent:
    """A file for the bar where there is no terminal to draw it on."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
