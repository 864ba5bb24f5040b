"""The classifier of texts: encoder and classes wired into one trainable task."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from s2s_core.confusion import Confusion
from s2s_core.errors import UserError
from s2s_core.losses.reduction import LossSum
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task
from s2s_core.tracking.samples import show_picture, show_table
from s2s_lm.sentiment.encoders import LanguageModelEncoder
from s2s_lm.sentiment.interfaces import ClassificationBatch, TextDecoder, TextEncoder
from s2s_lm.sentiment.metrics import figures, picture
from s2s_lm.sentiment.transfer import load_language_model
from s2s_lm.tokenizers import LmTokenizer

_log = logging.getLogger(__name__)


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """The mean of both Kullback-Leibler divergences between two predictions ``(batch, classes)``: ``(batch,)``."""
    first, second = logits.log_softmax(1), others.log_softmax(1)
    return ((first.exp() - second.exp()) * (first - second)).sum(1) / 2


@dataclass
class FineTuning:
    """How a pretrained body is trained on (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.3)."""

    rate_decay: float = 1.0
    """Each layer below the classifier learns at this share of the rate of the one above it; the paper's is 1 / 2.6."""
    unfreeze_epochs: int = 0
    """One more layer learns every so many epochs, from the classifier down; 0 trains all from the start."""


class SentimentClassification(Task):
    """Classifies texts, by sentiment or anything else.

    Args:
        encoder: tokens to encodings.
        decoder: encodings to scores of the classes.
        tokenizer: text to tokens.
        optimizer, schedule, regularizer: see `Task`.
        labels: the classes' names, in the order of their numbers.
        pretrained: a checkpoint of a language model whose body the encoder begins with, if any; words that it does
            not know are reported and begin as the mean of its vectors.
        fine_tuning: rates and unfreezing by layer.
        label_smoothing: probability that is spread over all classes.
        consistency: weight of the divergence between two views of each text under dropouts of their own (R-Drop, Liang
            et al. 2021, https://arxiv.org/abs/2106.14448, equation 4, whose alpha is twice this, as it adds up both
            views' losses where their mean is taken here); one view if 0. Dropped words are dropped from both.

    Raises:
        ValueError: if sizes of neighbouring parts differ.
    """

    name: ClassVar[str] = "sentiment"
    monitor: ClassVar[str] = "val/accuracy"
    monitor_mode: ClassVar[str] = "max"
    figures: ClassVar[tuple[str, ...]] = ("precision", "recall", "f1")
    example_unit: ClassVar[str] = "texts"

    def __init__(
        self,
        encoder: TextEncoder,
        decoder: TextDecoder,
        tokenizer: LmTokenizer,
        optimizer: OptimizerCallable,
        labels: list[str],
        schedule: Schedule | None = None,
        regularizer: L2Regularizer | None = None,
        pretrained: str | None = None,
        fine_tuning: FineTuning | None = None,
        label_smoothing: float = 0.0,
        consistency: float = 0.0,
    ) -> None:
        super().__init__(optimizer, schedule, None, regularizer)
        decoder.check(encoder)
        if len(labels) != decoder.num_classes:
            raise ValueError(f"decoder.num_classes is {decoder.num_classes}, but labels name {len(labels)} classes")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}")
        if consistency < 0:
            raise ValueError(f"consistency must not be negative, got {consistency}")
        if pretrained is not None and not isinstance(encoder, LanguageModelEncoder):
            raise ValueError(f"pretrained needs a LanguageModelEncoder, got {type(encoder).__name__}")
        self.encoder, self.decoder, self.tokenizer, self.labels = encoder, decoder, tokenizer, list(labels)
        self.pretrained, self.fine_tuning = pretrained, fine_tuning or FineTuning()
        self.label_smoothing, self.consistency = label_smoothing, consistency
        self.eval_loss, self.eval_confusion = MeanMetric(), Confusion(decoder.num_classes)

    def assets(self) -> dict[str, bytes]:
        return self.tokenizer.assets()

    def load_assets(self, assets: dict[str, bytes]) -> None:
        if assets:
            self.tokenizer.load_assets(assets)

    def setup(self, stage: str) -> None:
        if self.tokenizer.is_ready and self.encoder.vocab_size != self.tokenizer.vocab_size:
            raise UserError(
                f"model.init_args.encoder: vocab_size is {self.encoder.vocab_size}, "
                f"but the vocabulary has {self.tokenizer.vocab_size} tokens"
            )
        if self.encoder.ngrams != self.tokenizer.buckets:
            raise UserError(
                f"model.init_args.encoder: ngrams is {self.encoder.ngrams}, "
                f"but the tokenizer has {self.tokenizer.buckets} of them"
            )
        resumes = self._trainer is None or getattr(self.trainer, "ckpt_path", None) is not None
        if stage == "fit" and self.pretrained is not None and not resumes:
            assert isinstance(self.encoder, LanguageModelEncoder)
            if not Path(self.pretrained).is_file():
                raise UserError(f"model.init_args.pretrained: no checkpoint '{self.pretrained}'")
            report = load_language_model(self.pretrained, self.encoder.body, self.tokenizer)
            _log.info(report.line())

    def configure_optimizers(self) -> Optimizer:
        groups = [[p for p in group if p.requires_grad] for group in self._layers()]
        optimizer = self._make_optimizer([{"params": group} for group in groups if group])  # type: ignore[arg-type]
        for depth, group in enumerate(optimizer.param_groups):
            group["lr"] *= self.fine_tuning.rate_decay**depth
            group["initial_lr"] = group["lr"]
        return optimizer

    def _layers(self) -> list[list[nn.Parameter]]:
        """Parameters by layer, from the classifier down."""
        return [list(self.decoder.parameters()), *reversed(self.encoder.groups())]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        for parameter in self.frozen_parameters():
            # unlike requires_grad, which gradients exist is no business of a parallel strategy
            parameter.grad = None
        super().on_before_optimizer_step(optimizer)

    def frozen_parameters(self) -> list[nn.Parameter]:
        """What does not learn in this epoch."""
        every = self.fine_tuning.unfreeze_epochs
        if not every:
            return []
        open_layers = 1 + self.current_epoch // every
        return [parameter for layer in self._layers()[open_layers:] for parameter in layer]

    def logits(self, batch: ClassificationBatch) -> Tensor:
        """Scores ``(batch, classes)``, float32."""
        return self.decoder(self.encoder(batch.tokens, batch.lengths)).float()

    def _loss(self, logits: Tensor, batch: ClassificationBatch) -> LossSum:
        smoothing = self.label_smoothing if self.training else 0.0
        total = F.cross_entropy(logits, batch.labels, ignore_index=-1, reduction="sum", label_smoothing=smoothing)
        return LossSum(total, (batch.labels >= 0).sum().float())

    def training_step(self, batch: ClassificationBatch, batch_idx: int) -> Tensor:
        if not self.consistency:
            return self.normalised(self._loss(self.logits(batch), batch))
        both = batch.twice()
        logits = self.logits(both)
        loss = self._loss(logits, both)
        apart = divergence(*logits.chunk(2))[batch.labels >= 0].sum()
        return self.normalised(LossSum(loss.total / 2 + self.consistency * apart, loss.weight / 2))

    def validation_step(self, batch: ClassificationBatch, batch_idx: int) -> None:
        self._evaluate(batch)

    def test_step(self, batch: ClassificationBatch, batch_idx: int) -> None:
        self._evaluate(batch)

    def _evaluate(self, batch: ClassificationBatch) -> None:
        logits = self.logits(batch)
        loss = self._loss(logits, batch)
        self.eval_loss.update(loss.mean, loss.weight)
        self.eval_confusion.update(logits.argmax(1), batch.labels)

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _log_evaluation(self, stage: str) -> None:
        counts = self.eval_confusion.compute()
        values = {"loss": float(self.eval_loss.compute()), **figures(counts)}
        self.log_dict({f"{stage}/{key}": value for key, value in values.items()}, prog_bar=True)
        if not self.trainer.sanity_checking:
            show_picture(self.loggers, f"{stage}/confusion", picture(counts.cpu()), self.global_step)
            rows = [[label, *row] for label, row in zip(self.labels, counts.tolist(), strict=True)]
            show_table(self.loggers, f"{stage}/confusion_counts", ["true", *self.labels], rows, self.global_step)
        self.eval_loss.reset()
        self.eval_confusion.reset()

    def predict_step(self, batch: ClassificationBatch, batch_idx: int) -> list[dict[str, Any]]:
        """One row a text: its number, the class given and the probability of each."""
        probabilities = self.logits(batch).softmax(1).tolist()
        return [
            {
                "id": name,
                "label": self.labels[max(range(len(row)), key=row.__getitem__)],
                "probabilities": dict(zip(self.labels, row, strict=True)),
            }
            for name, row in zip(batch.ids, probabilities, strict=True)
        ]

    def loss_of(self, batch: ClassificationBatch) -> Tensor:
        return self._loss(self.logits(batch), batch).mean

    def bench_batch(self, seconds: float, batch_size: int) -> ClassificationBatch:
        """Random texts of three tokens a second, down to half as long."""
        longest = max(4, round(3 * seconds))
        lengths = torch.linspace(longest, longest / 2, batch_size).long().tolist()
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(self.encoder.vocab_size, (batch_size, longest), generator=generator)
        labels = torch.randint(self.decoder.num_classes, (batch_size,), generator=generator)
        return ClassificationBatch(tokens, lengths, labels, [str(i) for i in range(batch_size)])

    def units_of(self, batch: ClassificationBatch) -> dict[str, Any]:
        return {self.example_unit: len(batch.ids), "tokens": sum(batch.lengths)}
