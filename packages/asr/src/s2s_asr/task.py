"""The recogniser: features, encoder, decoder and loss wired into one trainable task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torchmetrics import MeanMetric

from s2s_asr.interfaces import Decoder, Encoder, FrameDecoder, Loss, SpeechBatch
from s2s_asr.losses.consistency import Consistency
from s2s_core.audio.augment import Augment
from s2s_core.audio.features import Features
from s2s_core.error_rate import ErrorRate
from s2s_core.errors import UserError
from s2s_core.losses.reduction import LossSum
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task
from s2s_core.text.tokenizers import Tokenizer
from s2s_core.tracking.samples import can_show, show_audio, show_picture, show_table, spectrogram_picture

if TYPE_CHECKING:
    from s2s_asr.search.interface import TextSearcher
    from s2s_core.recognition import SpeechRecogniser

SAMPLES_SHOWN = 3
"""Transcripts that are logged beside their references at each validation."""


class SpeechToText(Task):
    """Recognises speech: waveform, features, encoder, decoder, transcript.

    Features and augmentation run on the training device for the whole batch. Augmentation is drawn from the step's own
    generator, so a resumed run repeats it, and is off in evaluation.

    Args:
        features: audio to features.
        encoder: features to encodings; its ``in_features`` must be the features' ``num_features``.
        decoder: encodings to the tokenizer's labels.
        loss: scores and transcripts to the number that is minimised.
        tokenizer: transcripts to labels and back.
        optimizer, schedule, larc, regularizer: see `Task`.
        augment: what is done to training audio and features.
        consistency: shows the model every training utterance twice and rewards agreement, if given; of decoders that
            score frames.

    Raises:
        ValueError: if sizes of neighbouring parts differ, or the loss is not one of the decoder's family.
    """

    name: ClassVar[str] = "asr"
    monitor: ClassVar[str] = "val/wer"
    figures: ClassVar[tuple[str, ...]] = ("cer",)
    example_unit: ClassVar[str] = "utterances"

    def __init__(
        self,
        features: Features,
        encoder: Encoder,
        decoder: Decoder,
        loss: Loss,
        tokenizer: Tokenizer,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        augment: Augment | None = None,
        consistency: Consistency | None = None,
        larc: Larc | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__(optimizer, schedule, larc, regularizer)
        if encoder.in_features != features.num_features:
            raise ValueError(f"encoder.in_features is {encoder.in_features}, the features have {features.num_features}")
        if decoder.in_features != encoder.out_features:
            raise ValueError(f"decoder.in_features is {decoder.in_features}, the encoder gives {encoder.out_features}")
        if loss.takes != decoder.gives:
            pair = f"{type(loss).__name__} takes {loss.takes}, {type(decoder).__name__} gives {decoder.gives}"
            raise ValueError(f"loss and decoder do not belong together: {pair}")
        if consistency is not None and not isinstance(decoder, FrameDecoder):
            raise ValueError(f"consistency needs a decoder that scores frames, got {type(decoder).__name__}")
        self.features = features
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.tokenizer = tokenizer
        self.augment = augment
        self.consistency = consistency
        self.searcher: TextSearcher | None = None
        """Takes the best path's place in evaluation, where a language model is given."""
        self.train_wer = ErrorRate("word")
        self.eval_loss = MeanMetric()
        self._heard = False
        self.eval_wer = ErrorRate("word")
        self.eval_cer = ErrorRate("char")

    def assets(self) -> dict[str, bytes]:
        return self.tokenizer.assets()

    def load_assets(self, assets: dict[str, bytes]) -> None:
        if assets:
            self.tokenizer.load_assets(assets)

    def setup(self, stage: str) -> None:
        if self.decoder.vocab_size != self.tokenizer.vocab_size:
            raise UserError(
                f"model.init_args.decoder.init_args.vocab_size is {self.decoder.vocab_size}, "
                f"but the tokenizer has {self.tokenizer.vocab_size} labels"
            )

    def logits(self, audio: Tensor, audio_lengths: Tensor) -> tuple[Any, Tensor]:
        """What the decoder makes of audio ``(batch, samples)`` alone, and lengths ``(batch,)``.

        Of a frame decoder logits ``(batch, time, labels)``.
        """
        features, lengths = self.features(audio, audio_lengths)
        encodings, lengths = self.encoder(features, lengths)
        return self.decoder(encodings, lengths), lengths

    def _training_features(self, batch: SpeechBatch, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Augmented features and lengths: of the batch, or of two views of it, one after the other."""
        audio, audio_lengths = batch.audio, batch.audio_lengths
        generator = self.step_generator(batch_idx)
        if self.augment is not None:
            audio, audio_lengths = self.augment.wave_batch(audio, audio_lengths, generator)
        features, lengths = self.features(audio, audio_lengths)
        if self.consistency is not None:
            features, lengths = self.consistency.views(features), self.consistency.views(lengths)
        if self.augment is not None:
            features = self.augment.feature_batch(features, lengths, generator)
        return features, lengths

    def _loss(self, seen: Any, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> LossSum:
        scores = self.decoder.scores(seen, lengths, tokens, token_lengths)
        return self.loss(scores, lengths, tokens, token_lengths)

    def _training_loss(self, seen: Any, lengths: Tensor, batch: SpeechBatch) -> LossSum:
        if self.consistency is None:
            return self._loss(seen, lengths, batch.tokens, batch.token_lengths)
        views = self.consistency.views
        loss = self._loss(seen, lengths, views(batch.tokens), views(batch.token_lengths))
        return LossSum(loss.total + self.consistency(seen, lengths), loss.weight)

    def training_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        features, lengths = self._training_features(batch, batch_idx)
        encodings, lengths = self.encoder(features, lengths)
        seen = self.decoder(encodings, lengths)
        loss = self._training_loss(seen, lengths, batch)
        if self._logs_this_step() or self.global_step == 0:  # the progress bar shows the first step
            if isinstance(self.decoder, FrameDecoder):  # others would have to search
                self.train_wer.reset()
                first = slice(len(batch.ids))  # of two views, the first
                self.train_wer.update(self._texts(seen[first], lengths[first]), batch.texts)
                self.log("train/wer", self.train_wer.compute(), prog_bar=True, batch_size=len(batch.ids))
            padding = 1 - batch.audio_lengths.sum() / batch.audio.numel()
            self.log("train/padding", padding, batch_size=len(batch.ids))
        return self.normalised(loss)

    def validation_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        texts = self._evaluate(batch)
        if batch_idx == 0:
            self._show_samples(batch, texts)

    def test_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        self._evaluate(batch)

    def _evaluate(self, batch: SpeechBatch) -> list[str]:
        seen, lengths = self.logits(batch.audio, batch.audio_lengths)
        loss = self._loss(seen, lengths, batch.tokens, batch.token_lengths)
        texts = self._texts(seen, lengths)
        self.eval_loss.update(loss.mean, loss.weight)
        self.eval_wer.update(texts, batch.texts)
        self.eval_cer.update(texts, batch.texts)
        return texts

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _log_evaluation(self, stage: str) -> None:
        metrics = {"loss": self.eval_loss, "wer": self.eval_wer, "cer": self.eval_cer}
        # computed here, over all ranks' totals: Lightning would average per-batch rates
        self.log_dict({f"{stage}/{key}": metric.compute() for key, metric in metrics.items()}, prog_bar=True)
        for metric in metrics.values():
            metric.reset()

    def predict_step(self, batch: SpeechBatch, batch_idx: int) -> list[dict[str, Any]]:
        """One row an utterance: its id, the transcript recognised, and the reference where there is one."""
        texts = self._texts(*self.logits(batch.audio, batch.audio_lengths))
        return [
            {"id": name, "text": text, "reference": reference}
            for name, text, reference in zip(batch.ids, texts, batch.texts, strict=True)
        ]

    @torch.no_grad()
    def _texts(self, seen: Any, lengths: Tensor) -> list[str]:
        if self.searcher is not None:
            found = self.searcher.search_batch(seen, lengths)
            return [row[0].text for row in found]
        texts = (self.tokenizer.decode(ids) for ids in self.decoder.recognise(seen, lengths))
        # what a model puts between words may be two spaces; references and `Transcriber` have one
        return [" ".join(text.split()) for text in texts]

    def _show_samples(self, batch: SpeechBatch, texts: list[str]) -> None:
        if self.trainer.sanity_checking or not can_show(self.loggers):
            return
        rows = list(zip(batch.texts, texts, strict=True))[:SAMPLES_SHOWN]
        show_table(self.loggers, "val/transcripts", ["reference", "recognised"], rows, self.global_step)
        if not self._heard:  # the first utterance is the same every time
            self._heard = True
            features, lengths = self.features(batch.audio[:1], batch.audio_lengths[:1])
            picture = spectrogram_picture(features[0], int(lengths[0]))
            show_picture(self.loggers, "val/features", picture, self.global_step)
            audio = batch.audio[0, : int(batch.audio_lengths[0])]
            show_audio(self.loggers, "val/audio", audio, self.features.sample_rate_hz, self.global_step)

    def recogniser(self) -> SpeechRecogniser:
        """This model as other packages see it."""
        from s2s_asr.recogniser import Recogniser

        return Recogniser(self)

    def loss_of(self, batch: SpeechBatch) -> Tensor:
        seen, lengths = self.logits(batch.audio, batch.audio_lengths)
        return self._loss(seen, lengths, batch.tokens, batch.token_lengths).mean

    def bench_batch(self, seconds: float, batch_size: int) -> SpeechBatch:
        """Noise of ``seconds`` down to 5/8 of it, with random transcripts."""
        generator = torch.Generator().manual_seed(0)
        rate = self.features.sample_rate_hz
        longest = int(seconds * rate)
        lengths = torch.linspace(longest, longest * 5 / 8, batch_size).long()
        token_lengths = (lengths / rate * TYPICAL_LABELS_PER_S).long().clamp(min=1)
        return SpeechBatch(
            audio=0.1 * torch.randn(batch_size, longest, generator=generator),
            audio_lengths=lengths,
            tokens=torch.randint(
                self.tokenizer.vocab_size, (batch_size, int(token_lengths.max())), generator=generator
            ),
            token_lengths=token_lengths,
            ids=[f"bench-{i}" for i in range(batch_size)],
            texts=[""] * batch_size,
        )

    def units_of(self, batch: SpeechBatch) -> dict[str, Any]:
        seconds = batch.audio_lengths.sum() / self.features.sample_rate_hz
        return {self.example_unit: len(batch.ids), "audio s": seconds}


TYPICAL_LABELS_PER_S = 7.5
"""Well under what a stride of two frames of 10 ms can spell, so that no random transcript is infeasible."""
