"""Shows what half precision does to a training: loss scale, skipped steps, gradients at the ends of the range."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from s2s_core.precision.scaled import ScaledPrecision

WORST_SHOWN = 8
log = logging.getLogger(__name__)


@dataclass
class LayerGradients:
    """How many of a layer's scaled gradients lie where in the half type's range, summed over the measured steps."""

    zero: int = 0
    """Exactly zero: vanished, or without a cause to be anything else (an unused row of an embedding)."""
    subnormal: int = 0
    """Not zero but below the smallest normal number: with fewer digits."""
    saturating: int = 0
    """Within a factor of two of the largest number, or beyond."""
    total: int = 0

    @property
    def underflow(self) -> float:
        """The share at or below the lower end, 0 to 1."""
        return (self.zero + self.subnormal) / max(1, self.total)

    @property
    def saturation(self) -> float:
        """The share at the upper end, 0 to 1."""
        return self.saturating / max(1, self.total)

    def add(self, zero: int, subnormal: int, saturating: int, total: int) -> None:
        self.zero += zero
        self.subnormal += subnormal
        self.saturating += saturating
        self.total += total


class PrecisionReport(Callback):
    """Logs ``precision/loss_scale``, ``precision/skipped_steps`` and, for each layer, ``underflow/LAYER`` and
    ``saturation/LAYER``, the shares of its scaled gradients at the ends of the half type's range; a table at the end,
    in the log, in TensorBoard and in Weights & Biases.

    Gradients are counted when metrics are written (``trainer.log_every_n_steps``), before the regulariser, and only in
    the precisions of this package; in others the callback does nothing. What it counted is not kept in checkpoints.
    """

    def __init__(self) -> None:
        self.layers: dict[str, LayerGradients] = {}
        self.measured_steps = 0
        self._scales: list[float] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        precision = trainer.precision_plugin
        if isinstance(precision, ScaledPrecision) and trainer._logger_connector.should_update_logs:
            self._count(pl_module, precision)

    @torch.no_grad()
    def _count(self, module: LightningModule, precision: ScaledPrecision) -> None:
        limits = torch.finfo(precision.half)
        names: list[str] = []
        counts: list[Tensor] = []
        sizes: list[int] = []
        for name, parameter in module.named_parameters():
            if parameter.grad is None:
                continue
            size = parameter.grad.abs() * precision.scale
            zero, large = size == 0, size >= limits.max / 2
            names.append(name.rpartition(".")[0] or name)
            counts.append(torch.stack([zero.sum(), ((size < limits.tiny) & ~zero).sum(), large.sum()]))
            sizes.append(size.numel())
        if not counts:
            return
        here: dict[str, LayerGradients] = {}
        for name, (zero, subnormal, saturating), size in zip(names, torch.stack(counts).tolist(), sizes, strict=True):
            here.setdefault(name, LayerGradients()).add(zero, subnormal, saturating, size)
        self.measured_steps += 1
        for name, found in here.items():
            self.layers.setdefault(name, LayerGradients()).add(
                found.zero, found.subnormal, found.saturating, found.total
            )
        module.log_dict({f"underflow/{name}": found.underflow for name, found in here.items()})
        module.log_dict({f"saturation/{name}": found.saturation for name, found in here.items()})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        precision = trainer.precision_plugin
        if isinstance(precision, ScaledPrecision):
            self._scales = [min([precision.scale, *self._scales]), max([precision.scale, *self._scales])]
            if trainer._logger_connector.should_update_logs:
                figures = {"loss_scale": precision.scale, "skipped_steps": float(precision.skipped_steps)}
                pl_module.log_dict({f"precision/{name}": value for name, value in figures.items()})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        precision = trainer.precision_plugin
        if isinstance(precision, ScaledPrecision) and trainer.is_global_zero:
            lines = self.table(precision, trainer.global_step)
            log.info("\n".join(lines))
            self._publish(trainer, lines)

    def _publish(self, trainer: Trainer, lines: list[str]) -> None:
        for logger in trainer.loggers:
            log_table = getattr(logger, "log_table", None)  # Weights & Biases
            if log_table is not None:
                rows = [[name, f.underflow, f.saturation] for name, f in self.layers.items()]
                log_table("precision/layers", columns=["layer", "underflow", "saturation"], data=rows)
            add_text = getattr(getattr(logger, "experiment", None), "add_text", None)  # TensorBoard
            if add_text is not None:
                add_text("precision/report", "```\n" + "\n".join(lines) + "\n```", trainer.global_step)

    def table(self, precision: ScaledPrecision, steps: int) -> list[str]:
        """The lines shown at the end of a fit.

        Args:
            precision: what ran.
            steps: taken in the whole training, skipped ones not counted.
        """
        lines = [f"precision {precision.precision}: gradients measured at {self.measured_steps} of {steps} steps"]
        if precision.loss_scale is not None:
            low, high = self._scales or (precision.scale, precision.scale)
            lines[0] += (
                f"; {precision.skipped_steps} steps skipped; "
                f"loss scale {precision.scale:g} at the end, {low:g} to {high:g} on the way"
            )
        worst = sorted(self.layers.items(), key=lambda item: (-item[1].saturation, -item[1].underflow))[:WORST_SHOWN]
        rows = [(name, _shares(found)) for name, found in worst]
        rows = [(name, shares) for name, shares in rows if any(float(share.rstrip("%")) for share in shares)]
        if not worst:
            return [*lines, "  no step was looked at"]
        if not rows:
            return [*lines, "  no layer has scaled gradients at the ends of the range"]
        heading = "share of scaled gradients"
        width = max(len(heading), *(len(name) for name, _ in rows))
        lines.append(f"  {heading:{width}} {'zero':>8}  subnormal  saturating")
        return lines + [f"  {name:{width}} {zero:>8}  {low:>9}  {high:>10}" for name, (zero, low, high) in rows]


def _shares(found: LayerGradients) -> tuple[str, str, str]:
    total = max(1, found.total)
    return f"{found.zero / total:.2%}", f"{found.subnormal / total:.2%}", f"{found.saturation:.2%}"
