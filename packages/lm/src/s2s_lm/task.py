"""The language model: body, output layer and loss wired into one trainable task that carries its state."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, distributed
from torchmetrics import SumMetric

from s2s_core.decoding.sampling import Sampling
from s2s_core.errors import UserError
from s2s_core.losses.reduction import LossSum
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task
from s2s_core.tracking.samples import can_show, show_table
from s2s_lm.interfaces import (
    LmDecoder,
    LmEncoder,
    LmLoss,
    SegmentBatch,
    State,
    keep_state,
    real_positions,
)
from s2s_lm.perplexity import perplexities
from s2s_lm.scorer import LmScorer
from s2s_lm.tokenizers import LmTokenizer

SAMPLE_TOKENS = 60
CARRIED = "lm_state"
"""Where a checkpoint keeps the state of each process's rows."""


class LanguageModeling(Task):
    """Predicts the next token.

    Evaluation takes the decoder's exact log-probabilities, whatever the loss, and scores each token once.
    ``perplexity`` is per word of the original text, ends of lines included, also where the model reads subwords; of a
    model of characters it is per character.

    Args:
        encoder: tokens to encodings.
        decoder: encodings to the distribution of the next token.
        loss: what is minimised.
        tokenizer: text to tokens and back.
        optimizer, schedule, larc, regularizer: see `Task`.

    Raises:
        ValueError: if sizes of neighbouring parts differ.
    """

    name: ClassVar[str] = "lm"
    monitor: ClassVar[str] = "val/perplexity"
    figures: ClassVar[tuple[str, ...]] = ("bits_per_character",)
    example_unit: ClassVar[str] = "tokens"

    def __init__(
        self,
        encoder: LmEncoder,
        decoder: LmDecoder,
        loss: LmLoss,
        tokenizer: LmTokenizer,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        larc: Larc | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__(optimizer, schedule, larc, regularizer)
        if decoder.in_features != encoder.out_features:
            raise ValueError(f"decoder.in_features is {decoder.in_features}, the encoder gives {encoder.out_features}")
        if decoder.vocab_size != encoder.vocab_size:
            raise ValueError(f"decoder.vocab_size is {decoder.vocab_size}, the encoder has {encoder.vocab_size}")
        decoder.tie(encoder)
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.tokenizer = tokenizer
        self.eval_nll, self.eval_tokens = _exact_sum(), _exact_sum()
        self.eval_words, self.eval_characters = _exact_sum(), _exact_sum()
        self._units: Tensor | None = None
        self._carried: State | None = None
        self._eval_carried: State | None = None

    def assets(self) -> dict[str, bytes]:
        return self.tokenizer.assets()

    def load_assets(self, assets: dict[str, bytes]) -> None:
        if assets:
            self.tokenizer.load_assets(assets)

    def setup(self, stage: str) -> None:
        if self.tokenizer.is_ready and self.encoder.vocab_size != self.tokenizer.vocab_size:
            raise UserError(
                f"model.init_args.encoder.init_args.vocab_size is {self.encoder.vocab_size}, "
                f"but the vocabulary has {self.tokenizer.vocab_size} tokens"
            )

    def advance(self, batch: SegmentBatch, carried: State | None) -> tuple[Tensor, Tensor, State]:
        """Read a segment: encodings ``(count, features)`` and targets ``(count,)`` of real positions, and the state."""
        rows = len(batch.tokens)
        if carried is None or batch.fresh or len(carried[0]) != rows:
            state = self.encoder.initial_state(rows)
        else:
            state = keep_state(tuple(part.to(batch.tokens.device) for part in carried), batch.starts)
        encodings, after = self.encoder(batch.tokens, state, batch.lengths)
        real, targets = real_positions(encodings, batch.targets, batch.lengths)
        return real, targets, tuple(part.detach() for part in after)

    def on_train_batch_start(self, batch: SegmentBatch, batch_idx: int) -> None:
        super().on_train_batch_start(batch, batch_idx)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                rate = group["lr"] if self.schedule is not None else group["initial_lr"]
                group["lr"] = rate * self._stretch(batch)

    def _stretch(self, batch: SegmentBatch) -> float:
        """A longer segment's gradient is a mean over more steps, so it may step further (AWD-LSTM, section 4.1)."""
        segmenting = getattr(getattr(self.trainer, "datamodule", None), "segmenting", None)
        return batch.stretch if getattr(segmenting, "variable_length", False) else 1.0

    def training_step(self, batch: SegmentBatch, batch_idx: int) -> Tensor:
        loss, self._carried = self._training_loss(batch, self._carried)
        return self.normalised(loss)

    def _training_loss(self, batch: SegmentBatch, carried: State | None) -> tuple[LossSum, State]:
        encodings, targets, state = self.advance(batch, carried)
        loss: LossSum = self.loss(self.decoder, encodings, targets)
        penalty, self.encoder.penalty = self.encoder.penalty, None
        if penalty is not None:
            loss = LossSum(loss.total + penalty * loss.weight, loss.weight)
        return loss, state

    def on_validation_epoch_start(self) -> None:
        self._eval_carried = None

    def on_test_epoch_start(self) -> None:
        self._eval_carried = None

    def validation_step(self, batch: SegmentBatch, batch_idx: int) -> None:
        self._evaluate(batch)

    def test_step(self, batch: SegmentBatch, batch_idx: int) -> None:
        self._evaluate(batch)

    def _evaluate(self, batch: SegmentBatch) -> None:
        encodings, targets, self._eval_carried = self.advance(batch, self._eval_carried)
        self.eval_nll.update(self.decoder.nll(encodings, targets).double().sum())
        counts = self.units(encodings.device)[:, targets.clamp(min=0)] * (targets >= 0)
        words, characters = counts.sum(1).unbind()
        self.eval_words.update(words)
        self.eval_characters.update(characters)
        self.eval_tokens.update((targets >= 0).sum())

    def units(self, device: torch.device) -> Tensor:
        """``(2, vocab)``: how many words and characters each token stands for."""
        if self._units is None or self._units.device != device:
            tables = [self.tokenizer.words_of(), self.tokenizer.characters_of()]
            self._units = torch.tensor(tables, dtype=torch.float32, device=device)
        return self._units

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _log_evaluation(self, stage: str) -> None:
        sums = (self.eval_nll, self.eval_tokens, self.eval_words, self.eval_characters)
        nll, tokens, words, characters = (float(metric.compute()) for metric in sums)  # over all ranks
        figures = perplexities(nll, tokens, words, characters, self.tokenizer.unit)
        self.log_dict({f"{stage}/{key}": value for key, value in figures.items()}, prog_bar=True)
        for metric in sums:
            metric.reset()
        if stage == "val" and not self.trainer.sanity_checking and can_show(self.loggers):
            self._show_sample()

    def _show_sample(self) -> None:
        from s2s_lm.language_model import LanguageModel  # which imports this module

        # on every rank alike: with partitioned weights each step waits for the others
        search = Sampling(temperature=0.8, max_length_ratio=0.0, max_length_extra=SAMPLE_TOKENS)
        text = LanguageModel(self).generate("", search)[0]
        show_table(self.loggers, "val/sample", ["drawn from the model"], [[text]], self.global_step)

    def predict_step(self, batch: SegmentBatch, batch_idx: int) -> list[dict[str, Any]]:
        """One row a text: its number, natural log-probability and number of tokens, the end of line included."""
        encodings, targets, _ = self.advance(batch, None)
        lengths = batch.lengths or [batch.targets.size(1)] * len(batch.ids)
        sums = [float(part.double().sum()) for part in self.decoder.nll(encodings, targets).split(lengths)]
        return [
            {"id": name, "log_probability": -nll, "tokens": length}
            for name, nll, length in zip(batch.ids, sums, lengths, strict=True)
        ]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        own = None if self._carried is None else [part.cpu() for part in self._carried]
        everyone: list[Any] = [own]
        if distributed.is_available() and distributed.is_initialized():
            everyone = [None] * distributed.get_world_size()
            distributed.all_gather_object(everyone, own)
        checkpoint[CARRIED] = everyone

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        everyone = checkpoint.get(CARRIED) or []
        rank = self.trainer.global_rank if self._trainer is not None else 0
        own = everyone[rank] if rank < len(everyone) else None
        self._carried = None if own is None else tuple(own)

    def scorer(self) -> LmScorer:
        """This model as others see it; see `s2s_core.decoding.scoring.load_scorer`."""
        return LmScorer(self)

    def loss_of(self, batch: SegmentBatch) -> Tensor:
        loss, self._carried = self._training_loss(batch, self._carried)
        return loss.mean

    def bench_batch(self, seconds: float, batch_size: int) -> SegmentBatch:
        """Random tokens, ten for each of ``seconds``."""
        time = max(1, round(10 * seconds))
        drawn = torch.randint(
            self.encoder.vocab_size, (batch_size, time + 1), generator=torch.Generator().manual_seed(0)
        )
        starts = torch.zeros(batch_size, dtype=torch.bool)
        return SegmentBatch(drawn[:, :-1].contiguous(), drawn[:, 1:].contiguous(), starts, None)

    def units_of(self, batch: SegmentBatch) -> dict[str, Any]:
        count = batch.targets.numel() if batch.lengths is None else sum(batch.lengths)
        return {self.example_unit: count}


def _exact_sum() -> SumMetric:
    metric = SumMetric()
    metric.set_dtype(torch.float64)
    return metric
