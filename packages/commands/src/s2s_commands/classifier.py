"""What the two classifiers share: classes by name, evaluation, and what is logged of it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric

from s2s_commands.interfaces import Decoder, ImageBatch, Loss, SoundBatch
from s2s_commands.metrics import TopAccuracy, draw_confusion
from s2s_commands.mixup import Mixup
from s2s_core.confusion import Confusion
from s2s_core.errors import UserError
from s2s_core.losses.reduction import LossSum
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task
from s2s_core.tracking.samples import can_show, show_picture, show_table

_CLASSES = "classes.txt"
_SMALLEST_FOR_TOP5 = 6
_ANSWERS_SHOWN = 8


class Classifier(Task):
    """One label for each example of a batch.

    The names of the classes come with the data (`classes`) and travel in the checkpoint. Metrics are totals over all
    examples and processes: ``accuracy``, ``top5`` where there are more than five classes, ``loss``, and the picture of
    the confusion matrix.

    Args:
        decoder: vectors to scores of classes.
        loss: scores and target distributions to the number that is minimised.
        optimizer, schedule, larc, regularizer: see `Task`.
        mixup: blends the examples of a training batch, if given.
    """

    monitor: ClassVar[str] = "val/accuracy"
    monitor_mode: ClassVar[str] = "max"
    figures: ClassVar[tuple[str, ...]] = ("top5",)

    def __init__(
        self,
        decoder: Decoder,
        loss: Loss,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        mixup: Mixup | None = None,
        larc: Larc | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__(optimizer, schedule, larc, regularizer)
        self.decoder = decoder
        self.loss = loss
        self.mixup = mixup
        self.classes: list[str] = []
        """The names of the classes by number; the data module fills it in."""
        self._shown = False
        self.train_accuracy = TopAccuracy()
        self.eval_loss = MeanMetric()
        self.eval_accuracy = TopAccuracy()
        self.eval_top5 = TopAccuracy(5)
        self.eval_confusion = Confusion(decoder.num_classes)

    def assets(self) -> dict[str, bytes]:
        return {_CLASSES: "\n".join(self.classes).encode()} if self.classes else {}

    def load_assets(self, assets: dict[str, bytes]) -> None:
        if _CLASSES in assets:
            self.classes = assets[_CLASSES].decode().split("\n")

    def setup(self, stage: str) -> None:
        if self.classes and self.decoder.num_classes != len(self.classes):
            raise UserError(
                f"model.init_args.decoder.init_args.num_classes is {self.decoder.num_classes}, but the data has "
                f"{len(self.classes)} classes: {', '.join(self.classes[:12])}{' ...' if len(self.classes) > 12 else ''}"
            )

    @abstractmethod
    def batch_logits(self, batch: Any) -> Tensor:
        """Score a batch as it is, without augmentation: logits ``(batch, classes)``."""

    @abstractmethod
    def training_logits(self, batch: Any, targets: Tensor, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Score a training batch, augmented and blended.

        Args:
            batch: the batch.
            targets: distributions ``(batch, classes)``.
            batch_idx: the batch's number, for `step_generator`.

        Returns:
            logits and targets ``(batch, classes)``, of the blended examples where there is `mixup`.
        """

    def targets_of(self, labels: Tensor) -> Tensor:
        """Distributions ``(batch, classes)``, float32, of labels ``(batch,)``; zeros for -1."""
        known = labels >= 0
        return F.one_hot(labels.clamp(min=0), self.decoder.num_classes).float() * known[:, None]

    def training_step(self, batch: SoundBatch | ImageBatch, batch_idx: int) -> Tensor:
        logits, targets = self.training_logits(batch, self.targets_of(batch.labels), batch_idx)
        loss: LossSum = self.loss(logits, targets)
        if self._logs_this_step() or self.global_step == 0:  # the progress bar shows the first step
            self.train_accuracy.reset()
            self.train_accuracy.update(logits.detach(), targets.argmax(dim=1))
            self.log("train/loss", loss.mean.detach(), prog_bar=True, batch_size=len(batch.ids))
            self.log("train/accuracy", self.train_accuracy.compute(), prog_bar=True, batch_size=len(batch.ids))
        return self.normalised(loss)

    def validation_step(self, batch: SoundBatch | ImageBatch, batch_idx: int) -> None:
        logits = self._evaluate(batch)
        if batch_idx == 0 and self.classes and not self.trainer.sanity_checking and can_show(self.loggers):
            self._show_answers(batch, logits)
            if not self._shown:  # the first examples are the same every time
                self._shown = True
                self.show_inputs(batch)

    def show_inputs(self, batch: Any) -> None:
        """Let a person see or hear the first examples of the validation set."""

    def _show_answers(self, batch: SoundBatch | ImageBatch, logits: Tensor) -> None:
        sure, answers = logits.float().softmax(dim=1)[:_ANSWERS_SHOWN].max(dim=1)
        columns = zip(batch.ids, batch.labels.tolist(), answers.tolist(), sure.tolist(), strict=False)
        rows = [
            (name, self.classes[truth] if truth >= 0 else "", self.classes[answer], f"{share:.3f}")
            for name, truth, answer, share in columns
        ]
        show_table(self.loggers, "val/answers", ["example", "true", "answer", "probability"], rows, self.global_step)

    def test_step(self, batch: SoundBatch | ImageBatch, batch_idx: int) -> None:
        self._evaluate(batch)

    def _evaluate(self, batch: SoundBatch | ImageBatch) -> Tensor:
        logits = self.batch_logits(batch)
        loss: LossSum = self.loss(logits, self.targets_of(batch.labels))
        self.eval_loss.update(loss.mean, loss.weight)
        for metric in (self.eval_accuracy, self.eval_top5):
            metric.update(logits, batch.labels)
        self.eval_confusion.update(logits.argmax(dim=1), batch.labels)
        return logits

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _log_evaluation(self, stage: str) -> None:
        metrics = {"loss": self.eval_loss, "accuracy": self.eval_accuracy}
        if self.decoder.num_classes >= _SMALLEST_FOR_TOP5:
            metrics["top5"] = self.eval_top5
        # computed here, over all ranks' totals: Lightning would average per-batch rates
        self.log_dict({f"{stage}/{key}": metric.compute() for key, metric in metrics.items()}, prog_bar=True)
        self._show_confusion(stage)
        for metric in (self.eval_loss, self.eval_accuracy, self.eval_top5, self.eval_confusion):
            metric.reset()

    def _show_confusion(self, stage: str) -> None:
        counts = self.eval_confusion.compute()  # on every rank: it waits for the others
        if self.trainer.sanity_checking or not self.classes:
            return
        if can_show(self.loggers):
            picture = draw_confusion(counts, self.classes)
            show_picture(self.loggers, f"{stage}/confusion", picture, self.global_step)

    def predict_step(self, batch: SoundBatch | ImageBatch, batch_idx: int) -> list[dict[str, Any]]:
        """One row an example: its id, the class answered and its probability, and the true class where known."""
        probabilities = self.batch_logits(batch).float().softmax(dim=1)
        best = probabilities.max(dim=1)
        columns = (batch.ids, best.indices.tolist(), best.values.tolist(), batch.labels.tolist())
        return [
            {
                "id": name,
                "label": self.classes[answer],
                "probability": round(sure, 6),
                "reference": self.classes[truth] if truth >= 0 else None,
            }
            for name, answer, sure, truth in zip(*columns, strict=True)
        ]

    def loss_of(self, batch: SoundBatch | ImageBatch) -> Tensor:
        return self.loss(self.batch_logits(batch), self.targets_of(batch.labels)).mean

    def random_labels(self, batch_size: int, generator: torch.Generator) -> Tensor:
        """Labels ``(batch,)`` for a batch of `bench_batch`."""
        return torch.randint(self.decoder.num_classes, (batch_size,), generator=generator)
