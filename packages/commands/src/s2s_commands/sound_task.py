"""The classifier of sounds: features, encoder and decoder wired into one trainable task."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from s2s_commands.classifier import Classifier
from s2s_commands.interfaces import Decoder, Loss, SoundBatch, SoundEncoder
from s2s_commands.mixup import Mixup
from s2s_commands.onnx_graphs import sound_graph
from s2s_core.audio.augment import Augment
from s2s_core.audio.features import Features
from s2s_core.export import OnnxGraph
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.tracking.samples import show_audio, show_picture, spectrogram_picture


class SoundClassifier(Classifier):
    """Names a sound: waveform, features, encoder, one score a class.

    Features and augmentation run on the training device for the whole batch. Augmentation and mixup are drawn from the
    step's own generator, so a resumed run repeats them, and are off in evaluation. Mixup blends features, not sound.

    Args:
        features: audio to features.
        encoder: features to a vector; its ``in_features`` must be the features' ``num_features``.
        decoder: vectors to scores of the classes.
        loss: scores and target distributions to the number that is minimised.
        optimizer, schedule, larc, regularizer: see `Task`.
        augment: what is done to training audio and features.
        mixup: blends the features of a training batch, if given.

    Raises:
        ValueError: if sizes of neighbouring parts differ.
    """

    name: ClassVar[str] = "commands"
    example_unit: ClassVar[str] = "clips"

    def __init__(
        self,
        features: Features,
        encoder: SoundEncoder,
        decoder: Decoder,
        loss: Loss,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        augment: Augment | None = None,
        mixup: Mixup | None = None,
        larc: Larc | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__(decoder, loss, optimizer, schedule, mixup, larc, regularizer)
        if encoder.in_features != features.num_features:
            raise ValueError(f"encoder.in_features is {encoder.in_features}, the features have {features.num_features}")
        if decoder.in_features != encoder.out_features:
            raise ValueError(f"decoder.in_features is {decoder.in_features}, the encoder gives {encoder.out_features}")
        self.features = features
        self.encoder = encoder
        self.augment = augment

    def logits(self, audio: Tensor, audio_lengths: Tensor) -> Tensor:
        """Score audio ``(batch, samples)`` with true lengths ``(batch,)``: logits ``(batch, classes)``."""
        return self.decoder(self.encoder(*self.features(audio, audio_lengths)))

    def batch_logits(self, batch: SoundBatch) -> Tensor:
        return self.logits(batch.audio, batch.audio_lengths)

    def training_logits(self, batch: SoundBatch, targets: Tensor, batch_idx: int) -> tuple[Tensor, Tensor]:
        generator = self.step_generator(batch_idx)
        audio, lengths = batch.audio, batch.audio_lengths
        if self.augment is not None:
            audio, lengths = self.augment.wave_batch(audio, lengths, generator)
        features, lengths = self.features(audio, lengths)
        if self.augment is not None:
            features = self.augment.feature_batch(features, lengths, generator)
        if self.mixup is not None:
            blend = self.mixup.draw(len(features), generator, features.device)
            features, lengths, targets = blend.of(features), blend.longest(lengths), blend.of(targets)
        return self.decoder(self.encoder(features, lengths)), targets

    def show_inputs(self, batch: SoundBatch) -> None:
        features, lengths = self.features(batch.audio[:1], batch.audio_lengths[:1])
        show_picture(self.loggers, "val/features", spectrogram_picture(features[0], int(lengths[0])), self.global_step)
        audio = batch.audio[0, : int(batch.audio_lengths[0])]
        show_audio(self.loggers, "val/audio", audio, self.features.sample_rate_hz, self.global_step)

    def onnx_graph(self) -> OnnxGraph:
        """Features of clips of up to a second, and their lengths, to probabilities."""
        second = torch.zeros(1, self.features.sample_rate_hz)
        frames = self.features(second, torch.tensor([second.shape[1]]))[0].shape[1]
        notes: dict[str, object] = {"classes": self.classes, "features": self.features.describe()}
        return sound_graph(self.encoder, self.decoder, frames, notes)

    def bench_batch(self, seconds: float, batch_size: int) -> SoundBatch:
        """Noise of ``seconds`` with random labels."""
        generator = torch.Generator().manual_seed(0)
        samples = int(seconds * self.features.sample_rate_hz)
        return SoundBatch(
            audio=0.1 * torch.randn(batch_size, samples, generator=generator),
            audio_lengths=torch.full((batch_size,), samples),
            labels=self.random_labels(batch_size, generator),
            ids=[f"bench-{i}" for i in range(batch_size)],
        )

    def units_of(self, batch: SoundBatch) -> dict[str, Any]:
        seconds = batch.audio_lengths.sum() / self.features.sample_rate_hz
        return {self.example_unit: len(batch.ids), "audio s": seconds}
