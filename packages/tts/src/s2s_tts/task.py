"""The synthesiser: tokens, encoder, speaker, style, decoder and loss wired into one trainable task."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torchmetrics import MeanMetric

from s2s_core.error_rate import ErrorRate
from s2s_core.errors import UserError
from s2s_core.nn.mask import length_mask
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.recognition import SpeechRecogniser
from s2s_core.task import Task
from s2s_core.text.tokenizers import Tokenizer
from s2s_core.tracking.samples import can_show, show_audio, show_picture
from s2s_tts.interfaces import (
    Loss,
    Memory,
    Prediction,
    Spectrogram,
    SpectrogramDecoder,
    SpeechBatch,
    StyleEncoder,
    TextEncoder,
    Vocoder,
)
from s2s_tts.metrics import alignment_measures, mel_cepstral_distortion, stops_right
from s2s_tts.pictures import synthesis_picture
from s2s_tts.speakers import Speakers
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.vocoders.griffin_lim import GriffinLim

FRAMES_A_TOKEN = 10
"""Where synthesis gives an utterance up, as OpenSeq2Seq's: so many frames a token ..."""
FRAMES_MORE = 100
"""... and these."""
MEASURES = ("diagonality", "focus", "coverage", "stop_accuracy")


class TextToSpeech(Task):
    """Speaks: text, encodings, spectrogram, sound.

    Args:
        features: audio to the spectrogram that is learnt.
        encoder: tokens to encodings.
        decoder: encodings to spectrograms; its ``in_features`` must be the encoder's ``out_features``, the style's and
            the speakers' added.
        loss: a prediction and the true spectrogram to the number that is minimised.
        tokenizer: texts to tokens.
        optimizer, schedule, larc, regularizer: see `Task`.
        style: how a reference is spoken; the utterance itself in training.
        speakers: the voices, if there are several.
        vocoder: makes the samples audible that are logged, and what is synthesised by default; Griffin-Lim if None.

    Raises:
        ValueError: if sizes of neighbouring parts differ.
    """

    name: ClassVar[str] = "tts"
    monitor: ClassVar[str] = "val/loss"
    figures: ClassVar[tuple[str, ...]] = MEASURES
    example_unit: ClassVar[str] = "utterances"

    def __init__(
        self,
        features: MelSpectrogram,
        encoder: TextEncoder,
        decoder: SpectrogramDecoder,
        loss: Loss,
        tokenizer: Tokenizer,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        style: StyleEncoder | None = None,
        speakers: Speakers | None = None,
        vocoder: Vocoder | None = None,
        larc: Larc | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__(optimizer, schedule, larc, regularizer)
        parts = [encoder, *(part for part in (style, speakers) if part is not None)]
        size = sum(part.out_features for part in parts)
        if decoder.in_features != size:
            raise ValueError(f"decoder.in_features is {decoder.in_features}, encoder, style and speakers give {size}")
        if decoder.num_mels != features.num_features:
            raise ValueError(f"decoder.num_mels is {decoder.num_mels}, the features have {features.num_features}")
        if decoder.magnitude_bins not in (None, features.bins):
            raise ValueError(f"decoder.magnitude_bins is {decoder.magnitude_bins}, the features have {features.bins}")
        self.features = features
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.tokenizer = tokenizer
        self.style = style
        self.speakers = speakers
        self.vocoder: Vocoder = GriffinLim(features) if vocoder is None else vocoder
        self.eval_loss = MeanMetric()
        self.eval_measures: Any = torch.nn.ModuleDict({name: MeanMetric() for name in MEASURES})
        self.eval_distortion = MeanMetric()
        self.eval_finished = MeanMetric()
        self.recogniser: SpeechRecogniser | None = None
        """Judges in tests whether the speech can be understood, if there is one."""
        self.eval_wer = ErrorRate("word")
        self.eval_recorded_wer = ErrorRate("word")

    def assets(self) -> dict[str, bytes]:
        return {**self.tokenizer.assets(), **(self.speakers.assets() if self.speakers is not None else {})}

    def load_assets(self, assets: dict[str, bytes]) -> None:
        own = {name: content for name, content in assets.items() if name != Speakers.ASSET}
        if own:
            self.tokenizer.load_assets(own)
        if self.speakers is not None:
            self.speakers.load_assets(assets)

    def setup(self, stage: str) -> None:
        if self.encoder.vocab_size != self.tokenizer.vocab_size:
            raise UserError(
                f"model.init_args.encoder.init_args.vocab_size is {self.encoder.vocab_size}, "
                f"but the tokenizer has {self.tokenizer.vocab_size} labels"
            )

    def target(self, audio: Tensor, audio_lengths: Tensor) -> Spectrogram:
        """The spectrogram of recordings ``(batch, samples)``, with magnitudes if the decoder predicts them."""
        if self.decoder.magnitude_bins is None:
            return Spectrogram(*self.features(audio, audio_lengths))
        mel, magnitude, lengths = self.features.both(audio, audio_lengths)
        return Spectrogram(mel, lengths, magnitude)

    def encode(self, tokens: Tensor, lengths: Tensor, speakers: Tensor, reference: Spectrogram | None) -> Memory:
        """What the decoder attends to: encodings ``(batch, tokens, features)`` with style and speaker beside them.

        Args:
            tokens, lengths: the texts.
            speakers: ``(batch,)``; looked at if the model has several.
            reference: recordings of the style; looked at if the model has styles.
        """
        values = self.encoder(tokens, lengths)
        more = []
        if self.style is not None:
            assert reference is not None
            more.append(self.style(reference))
        if self.speakers is not None:
            more.append(self.speakers(speakers))
        if more:
            wide = torch.cat(more, dim=1)[:, None].expand(-1, values.shape[1], -1).to(values.dtype)
            mask = length_mask(lengths, values.shape[1])[..., None]
            values = torch.cat((values, wide.masked_fill(~mask, 0.0)), dim=2)
        return Memory(values, lengths)

    def _forced(self, batch: SpeechBatch, seeds: Tensor | None) -> tuple[Prediction, Spectrogram]:
        target = self.target(batch.audio, batch.audio_lengths)
        memory = self.encode(batch.tokens, batch.token_lengths, batch.speakers, target)
        return self.decoder(memory, target, seeds), target

    def training_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        prediction, target = self._forced(batch, None)
        loss = self.loss(prediction, target, batch.token_lengths)
        if self._logs_this_step() or self.global_step == 0:
            parts = {f"train/{name}": total.detach() / loss.sum.weight for name, total in loss.parts.items()}
            measures = alignment_measures(prediction.alignments, prediction.step_lengths, batch.token_lengths)
            parts["train/diagonality"] = measures["diagonality"].mean()
            parts["train/padding"] = 1 - target.lengths.sum() / target.mel[..., 0].numel()
            self.log_dict(parts, batch_size=len(batch.ids))
        return self.normalised(loss.sum)

    def _evaluate(self, batch: SpeechBatch) -> tuple[Prediction, Spectrogram]:
        prediction, target = self._forced(batch, self._seeds(batch.ids))
        loss = self.loss(prediction, target, batch.token_lengths).sum
        self.eval_loss.update(loss.mean, loss.weight)
        measures = alignment_measures(prediction.alignments, prediction.step_lengths, batch.token_lengths)
        measures["stop_accuracy"] = stops_right(prediction).float()
        for name, values in measures.items():
            self.eval_measures[name].update(values)
        return prediction, target

    def _seeds(self, ids: list[str]) -> Tensor:
        """Of the dropout in evaluation: each utterance's own."""
        return torch.tensor([zlib.crc32(name.encode()) for name in ids], device=self.device)

    def validation_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        prediction, target = self._evaluate(batch)
        if batch_idx == 0:
            self._show(batch, prediction, target)

    def test_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        _, target = self._evaluate(batch)
        made = self.synthesise(batch.tokens, batch.token_lengths, batch.speakers, target, self._seeds(batch.ids))
        self.eval_finished.update(made.finished.float())
        for row, (made_frames, frames) in enumerate(zip(made.spectrogram.lengths, target.lengths, strict=True)):
            spoken, true = made.spectrogram.mel[row, :made_frames], target.mel[row, :frames]
            self.eval_distortion.update(mel_cepstral_distortion(spoken, true))
        if self.recogniser is not None:
            self._judge(self.recogniser, batch, made.spectrogram)

    def _judge(self, recogniser: SpeechRecogniser, batch: SpeechBatch, made: Spectrogram) -> None:
        """Count the words that a recogniser takes for others, in synthetic speech and in the recordings."""
        texts = [recogniser.spell(self.tokenizer.normalise(text)) for text in batch.texts]

        def count(errors: ErrorRate, audio: Tensor, lengths: Tensor) -> None:
            recordings = [row[:samples] for row, samples in zip(audio.cpu().numpy(), lengths.tolist(), strict=True)]
            errors.update(recogniser.recognise(recordings, self.features.sample_rate_hz), texts)

        spoken = self.vocoder(made, self._seeds(batch.ids))
        count(self.eval_wer, spoken, self.features.samples(made.lengths))
        count(self.eval_recorded_wer, batch.audio, batch.audio_lengths)

    def synthesise(
        self,
        tokens: Tensor,
        lengths: Tensor,
        speakers: Tensor,
        reference: Spectrogram | None,
        seeds: Tensor,
        max_frames: Tensor | None = None,
    ) -> Prediction:
        """Spectrograms of texts, from their own past.

        Args:
            tokens, lengths, speakers, reference: see `encode`.
            seeds: ``(batch,)``, one an utterance.
            max_frames: ``(batch,)``, where to give up; 100 and 10 a token if None.
        """
        limit = lengths * FRAMES_A_TOKEN + FRAMES_MORE if max_frames is None else max_frames
        return self.decoder.generate(self.encode(tokens, lengths, speakers, reference), seeds, limit)

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val", {"loss": self.eval_loss, **self.eval_measures})

    def on_test_epoch_end(self) -> None:
        free: dict[str, Any] = {"mcd_db": self.eval_distortion, "finished": self.eval_finished}
        if self.recogniser is not None:
            free |= {"wer": self.eval_wer, "recorded_wer": self.eval_recorded_wer}
        self._log_evaluation("test", {"loss": self.eval_loss, **self.eval_measures, **free})

    def _log_evaluation(self, stage: str, metrics: dict[str, Any]) -> None:
        # computed here, over all ranks' totals: Lightning would average per-batch figures
        shown = ("loss", "diagonality")
        for name, metric in metrics.items():
            self.log(f"{stage}/{name}", metric.compute(), prog_bar=name in shown)
            metric.reset()

    def predict_step(self, batch: SpeechBatch, batch_idx: int) -> list[dict[str, Any]]:
        """One row an utterance: its id and text, how long the model speaks, whether it ends, its distance in dB."""
        target = self.target(batch.audio, batch.audio_lengths)
        made = self.synthesise(batch.tokens, batch.token_lengths, batch.speakers, target, self._seeds(batch.ids))
        hop_s = self.features.hop_samples / self.features.sample_rate_hz
        rows = []
        for row, (name, text) in enumerate(zip(batch.ids, batch.texts, strict=True)):
            frames, true_frames = int(made.spectrogram.lengths[row]), int(target.lengths[row])
            distance = mel_cepstral_distortion(made.spectrogram.mel[row, :frames], target.mel[row, :true_frames])
            ended = bool(made.finished[row])
            duration_s = round(frames * hop_s, 3)
            rows.append({"id": name, "text": text, "duration_s": duration_s, "finished": ended, "mcd_db": distance})
        return rows

    def _show(self, batch: SpeechBatch, prediction: Prediction, target: Spectrogram) -> None:
        """Log the first utterance: under teacher forcing as a picture, and spoken freely as picture and sound."""
        if self.trainer.sanity_checking or not self.trainer.is_global_zero or not can_show(self.loggers):
            return
        frames, tokens = int(target.lengths[0]), int(batch.token_lengths[0])
        show_picture(
            self.loggers, "val/teacher_forced", _picture(prediction, tokens, target.mel[0, :frames]), self.global_step
        )
        first = slice(0, 1)
        reference = Spectrogram(target.mel[first, :frames], target.lengths[first])
        made = self.synthesise(
            batch.tokens[first, :tokens], batch.token_lengths[first], batch.speakers[first], reference,
            self._seeds(batch.ids[:1]), target.lengths[first] * 2,
        )  # fmt: skip
        show_picture(self.loggers, "val/synthesised", _picture(made, tokens, None), self.global_step)
        audio = self.vocoder(made.spectrogram)[0]
        show_audio(self.loggers, "val/audio", audio, self.features.sample_rate_hz, self.global_step)

    def loss_of(self, batch: SpeechBatch) -> Tensor:
        prediction, target = self._forced(batch, None)
        return self.loss(prediction, target, batch.token_lengths).sum.mean

    def bench_batch(self, seconds: float, batch_size: int) -> SpeechBatch:
        """Noise of ``seconds`` down to 5/8 of it, with random texts."""
        generator = torch.Generator().manual_seed(0)
        longest = int(seconds * self.features.sample_rate_hz)
        lengths = torch.linspace(longest, longest * 5 / 8, batch_size).long()
        token_lengths = (lengths / self.features.sample_rate_hz * TYPICAL_TOKENS_PER_S).long().clamp(min=1)
        audio = 0.1 * torch.randn(batch_size, longest, generator=generator)
        shape = (batch_size, int(token_lengths.max()))
        return SpeechBatch(
            tokens=torch.randint(self.tokenizer.vocab_size, shape, generator=generator),
            token_lengths=token_lengths,
            audio=audio.masked_fill(~length_mask(lengths, longest), 0.0),
            audio_lengths=lengths,
            speakers=torch.zeros(batch_size, dtype=torch.int64),
            ids=[str(row) for row in range(batch_size)],
            texts=[""] * batch_size,
        )

    def units_of(self, batch: SpeechBatch) -> dict[str, Any]:
        rate, hop = self.features.sample_rate_hz, self.features.hop_samples
        seconds = batch.audio_lengths.sum() / rate
        return {self.example_unit: len(batch.ids), "audio s": seconds, "mel frames": batch.audio_lengths.sum() / hop}


TYPICAL_TOKENS_PER_S = 14


def _picture(prediction: Prediction, tokens: int, true_mel: Tensor | None) -> Any:
    frames, steps = int(prediction.spectrogram.lengths[0]), int(prediction.step_lengths[0])
    return synthesis_picture(
        prediction.spectrogram.mel[0, :frames],
        true_mel,
        prediction.alignments[0, :steps, :tokens],
        torch.sigmoid(prediction.stop_logits[0, :steps].float()),
    )
