"""The training of a WaveNet vocoder, wired into one task."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torchmetrics import MeanMetric

from s2s_core.losses.reduction import LossSum
from s2s_core.losses.sequence import smoothed_cross_entropy
from s2s_core.nn.mask import length_mask
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task
from s2s_tts.vocoder_data import Geometry, StretchBatch
from s2s_tts.vocoders.mu_law import mu_law_encode
from s2s_tts.vocoders.wavenet import WaveNet


class VocoderTraining(Task):
    """Minimises the cross entropy of each sample's mu-law level, given those before it and the mel bands.

    Only samples with the whole receptive field before them, or the recording's beginning, count; the same in
    OpenSeq2Seq's `WavenetLoss`. ``loss`` is in nats a sample, log 256 = 5.545 for a network that knows nothing.

    Args:
        vocoder: what is trained; its features are computed from the recordings on the training device.
        optimizer, schedule, regularizer: see `Task`.
    """

    name: ClassVar[str] = "vocoder"
    monitor: ClassVar[str] = "val/loss"
    example_unit: ClassVar[str] = "stretches"

    def __init__(
        self,
        vocoder: WaveNet,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__(optimizer, schedule, None, regularizer)
        self.vocoder = vocoder
        self.eval_loss = MeanMetric()

    def scores(self, batch: StretchBatch) -> tuple[Tensor, Tensor]:
        """Scores ``(batch, samples, levels)`` of the samples between the margins, and their true levels."""
        features, margin = self.vocoder.features, batch.margin
        whole = torch.full((len(batch.audio),), batch.audio.size(1), device=batch.audio.device)
        frames = margin // features.hop_samples
        mel, lengths = features(batch.audio, whole)
        mel = mel[:, frames : mel.size(1) - frames].to(self.vocoder.network.embedding.weight.dtype)
        levels = mu_law_encode(batch.audio[:, margin : batch.audio.size(1) - margin], self.vocoder.levels)
        return self.vocoder.scores(levels, mel, lengths - 2 * frames), levels

    def _loss(self, batch: StretchBatch) -> LossSum:
        scores, levels = self.scores(batch)
        counts = length_mask(batch.ends, levels.size(1)) & ~length_mask(batch.begins, levels.size(1))
        return LossSum(smoothed_cross_entropy(scores[counts], levels[counts]), counts.sum().float())

    def training_step(self, batch: StretchBatch, batch_idx: int) -> Tensor:
        return self.normalised(self._loss(batch))

    def validation_step(self, batch: StretchBatch, batch_idx: int) -> None:
        self._evaluate(batch)

    def test_step(self, batch: StretchBatch, batch_idx: int) -> None:
        self._evaluate(batch)

    def _evaluate(self, batch: StretchBatch) -> None:
        loss = self._loss(batch)
        self.eval_loss.update(loss.mean, loss.weight)

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _log_evaluation(self, stage: str) -> None:
        loss = self.eval_loss.compute()
        self.log_dict({f"{stage}/loss": loss, f"{stage}/bits": loss / math.log(2)}, prog_bar=True)
        self.eval_loss.reset()

    def loss_of(self, batch: StretchBatch) -> Tensor:
        return self._loss(batch).mean

    def bench_batch(self, seconds: float, batch_size: int) -> StretchBatch:
        """Noise of so many seconds, with the receptive field before it."""
        features = self.vocoder.features
        geometry = Geometry.of(features, self.vocoder.network.shape.receptive_field)
        samples = max(1, round(seconds * features.sample_rate_hz / geometry.hop)) * geometry.hop + geometry.context
        audio = 0.1 * torch.randn(batch_size, samples + 2 * geometry.margin, generator=torch.Generator().manual_seed(0))
        begins, ends = torch.full((batch_size,), geometry.context), torch.full((batch_size,), samples)
        return StretchBatch(audio, geometry.margin, begins, ends, [str(i) for i in range(batch_size)])

    def units_of(self, batch: StretchBatch) -> dict[str, Any]:
        return {self.example_unit: len(batch.ids), "samples": (batch.ends - batch.begins).sum()}
