"""The image classifier: encoder, decoder and loss wired into one trainable task."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from s2s_commands.classifier import Classifier
from s2s_commands.cutmix import CutMix
from s2s_commands.image_augment import ImageAugment
from s2s_commands.image_view import ImageView
from s2s_commands.interfaces import Decoder, ImageBatch, ImageEncoder, Loss
from s2s_commands.mixup import Mixup
from s2s_commands.onnx_graphs import image_graph
from s2s_core.export import OnnxGraph
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.tracking.samples import contact_sheet, show_picture

_PICTURES_SHOWN = 16


class ImageClassification(Classifier):
    """Says what a picture shows: pixels, encoder, scores of the classes.

    Pictures are decoded and augmented by the data module's workers and blended here, on the device, drawn from the
    step's own generator; a resumed run repeats both. In evaluation the probabilities of the view's crops are averaged.

    Args:
        encoder: pictures to vectors; its ``in_channels`` must be the view's.
        decoder: vectors to scores of the classes.
        loss: scores and targets to the number that is minimised.
        optimizer, schedule, larc, regularizer: see `Task`.
        view: size and scale of what the encoder sees; ImageNet's if not given.
        augment: what is done to training pictures.
        mixup, cutmix: how training batches are blended; where both are given, each batch takes one of them by chance.

    Raises:
        ValueError: if sizes of neighbouring parts differ.
    """

    name: ClassVar[str] = "images"
    example_unit: ClassVar[str] = "images"

    def __init__(
        self,
        encoder: ImageEncoder,
        decoder: Decoder,
        loss: Loss,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        view: ImageView | None = None,
        augment: ImageAugment | None = None,
        mixup: Mixup | None = None,
        cutmix: CutMix | None = None,
        larc: Larc | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__(decoder, loss, optimizer, schedule, mixup, larc, regularizer)
        self.view = view or ImageView()
        if encoder.in_channels != self.view.channels:
            raise ValueError(f"encoder.in_channels is {encoder.in_channels}, the view has {self.view.channels}")
        if decoder.in_features != encoder.out_features:
            raise ValueError(f"decoder.in_features is {decoder.in_features}, the encoder gives {encoder.out_features}")
        self.encoder = encoder
        self.augment = augment
        self.cutmix = cutmix

    def logits(self, images: Tensor) -> Tensor:
        """Score normalised images ``(batch, channels, size, size)``: logits ``(batch, classes)``."""
        return self.decoder(self.encoder(images))

    def batch_logits(self, batch: ImageBatch) -> Tensor:
        """Log probabilities ``(batch, classes)``, their mean over the view's crops; plain logits for one crop."""
        views = self.view.views(batch.images)
        if len(views) == 1:
            return self.logits(batch.images)
        # one at a time: ten crops of a batch at once are ten times the memory
        return torch.stack([self.logits(view).float().softmax(dim=1) for view in views]).mean(0).log()

    def training_logits(self, batch: ImageBatch, targets: Tensor, batch_idx: int) -> tuple[Tensor, Tensor]:
        generator = self.step_generator(batch_idx)
        images = batch.images
        both = self.mixup is not None and self.cutmix is not None
        first = not both or bool(torch.rand((), generator=generator) < 0.5)
        if self.mixup is not None and first:
            blend = self.mixup.draw(len(images), generator, images.device)
            images, targets = blend.of(images), blend.of(targets)
        elif self.cutmix is not None:
            images, targets = self.cutmix(images, targets, generator)
        return self.logits(images), targets

    def loss_of(self, batch: Any) -> Tensor:
        return self.loss(self.logits(batch.images), self.targets_of(batch.labels)).mean

    def show_inputs(self, batch: ImageBatch) -> None:
        show_picture(self.loggers, "val/pictures", contact_sheet(batch.images[:_PICTURES_SHOWN]), self.global_step)

    def onnx_graph(self) -> OnnxGraph:
        """One crop, normalised as the view says, to probabilities."""
        notes: dict[str, object] = {"classes": self.classes, "view": self.view.describe()["init_args"]}
        return image_graph(self.encoder, self.decoder, self.view.size, notes)

    def bench_batch(self, seconds: float, batch_size: int) -> ImageBatch:
        """Noise; ``seconds`` mean nothing here."""
        generator = torch.Generator().manual_seed(0)
        return ImageBatch(
            images=torch.randn(batch_size, self.view.channels, self.view.size, self.view.size, generator=generator),
            labels=self.random_labels(batch_size, generator),
            ids=[f"bench-{i}" for i in range(batch_size)],
        )

    def units_of(self, batch: ImageBatch) -> dict[str, Any]:
        return {self.example_unit: len(batch.ids)}
