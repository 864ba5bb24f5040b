"""The translator: encoder, decoder and loss wired into one trainable task."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torchmetrics import MeanMetric

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.hypothesis import Hypothesis
from s2s_core.errors import UserError
from s2s_core.nn.mask import length_mask
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Schedule
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task
from s2s_core.text.sentences import SPECIAL_TOKENS, SentenceTokenizer
from s2s_core.tracking.samples import heat_map, show_picture, show_table
from s2s_nmt.interfaces import BOS_ID, EOS_ID, PAD_ID, Decoder, Encoder, Loss, TextBatch
from s2s_nmt.metrics import Bleu, Chrf, Perplexity, TokenAccuracy

SAMPLES_SHOWN = 4
"""Translations that are logged beside source and reference at each validation."""


@dataclass
class Evaluation:
    """How models are judged, while they train and after."""

    sentences: int = 500
    """About how many of the validation set are decoded for BLEU, spread over it; loss and accuracy are of all."""
    greedy: bool = True
    """Validation decodes greedily instead of with the task's search: several times as fast, often a point lower."""
    bleu_tokenize: str = "13a"
    """How SacreBLEU cuts words: ``zh``, ``ja-mecab``, ``char``, ``none`` ..."""


class TextToText(Task):
    """Translates, summarises, answers: source tokens, encoder, decoder, target tokens.

    Training is teacher-forced; what is called BLEU is always of real decoding, on detokenised text.

    Args:
        encoder: source tokens to a memory.
        decoder: a memory and the tokens so far to scores of the next.
        loss: scores and the true next tokens to the number that is minimised.
        source_tokenizer: source text to tokens.
        optimizer, schedule, larc, regularizer: see `Task`.
        target_tokenizer: target text to tokens and back; the source's if None.
        share_embeddings: the decoder's token embeddings are the encoder's, and scaled as those are.
        search: how test, predict and translation decode; a beam of 4 if None.
        evaluation: what validation and test look at.

    Raises:
        ValueError: if sizes of neighbouring parts differ.
    """

    name: ClassVar[str] = "nmt"
    monitor: ClassVar[str] = "val/bleu"
    monitor_mode: ClassVar[str] = "max"
    figures: ClassVar[tuple[str, ...]] = ("perplexity", "accuracy", "chrf")
    example_unit: ClassVar[str] = "sentences"

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        loss: Loss,
        source_tokenizer: SentenceTokenizer,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        target_tokenizer: SentenceTokenizer | None = None,
        share_embeddings: bool = False,
        search: BeamSearch | None = None,
        evaluation: Evaluation | None = None,
        larc: Larc | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__(optimizer, schedule, larc, regularizer)
        if decoder.in_features != encoder.out_features:
            raise ValueError(f"decoder.in_features is {decoder.in_features}, the encoder gives {encoder.out_features}")
        if share_embeddings:
            _check_shareable(encoder, decoder)
            decoder.embedding = encoder.embedding
        self.encoder = encoder
        self.decoder = decoder
        self.loss = loss
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer or source_tokenizer
        self.search = search or BeamSearch()
        self.evaluation = evaluation or Evaluation()
        self.eval_loss = MeanMetric()
        self.eval_perplexity = Perplexity()
        self.eval_accuracy = TokenAccuracy()
        self.eval_bleu = Bleu(self.evaluation.bleu_tokenize)
        self.eval_chrf = Chrf()
        self._samples: list[tuple[str, str, str]] = []
        self._attention: Tensor | None = None

    @property
    def _tokenizers(self) -> dict[str, SentenceTokenizer]:
        tokenizers = {"source": self.source_tokenizer, "target": self.target_tokenizer}
        return tokenizers if self.target_tokenizer is not self.source_tokenizer else {"source": self.source_tokenizer}

    def assets(self) -> dict[str, bytes]:
        return {
            f"{side}/{name}": content
            for side, tokenizer in self._tokenizers.items()
            for name, content in tokenizer.assets().items()
        }

    def load_assets(self, assets: dict[str, bytes]) -> None:
        for side, tokenizer in self._tokenizers.items():
            own = {name.removeprefix(f"{side}/"): data for name, data in assets.items() if name.startswith(f"{side}/")}
            if own:
                tokenizer.load_assets(own)

    def setup(self, stage: str) -> None:
        parts = (("encoder", self.encoder, self.source_tokenizer), ("decoder", self.decoder, self.target_tokenizer))
        for name, part, tokenizer in parts:
            if tokenizer.is_ready and part.vocab_size != tokenizer.vocab_size:
                raise UserError(
                    f"model.init_args.{name}.init_args.vocab_size is {part.vocab_size}, "
                    f"but the vocabulary has {tokenizer.vocab_size} tokens"
                )

    def logits(self, batch: TextBatch) -> Tensor:
        """Score the true target, teacher-forced: logits ``(sum of target lengths, vocab)``, row after row."""
        memory = self.encoder(batch.source, batch.source_lengths)
        shifted = torch.nn.functional.pad(batch.target[:, :-1], (1, 0), value=BOS_ID)
        return self.decoder(memory, shifted, batch.target_lengths)

    def training_step(self, batch: TextBatch, batch_idx: int) -> Tensor:
        logits, tokens = self.logits(batch), packed_target(batch)
        loss = self.loss(logits, tokens, batch.target_lengths)
        if self._logs_this_step():
            accuracy = (logits.detach().argmax(dim=1) == tokens).float().mean()
            size = len(batch.ids)
            self.log("train/accuracy", accuracy, prog_bar=True, batch_size=size)
            real = batch.source_lengths.sum() + batch.target_lengths.sum()
            self.log("train/padding", 1 - real / (batch.source.numel() + batch.target.numel()), batch_size=size)
        return self.normalised(loss)

    def validation_step(self, batch: TextBatch, batch_idx: int) -> None:
        self._evaluate(batch)
        rows = [row for row, name in enumerate(batch.ids) if self._is_decoded(name)]
        if rows:
            self._decode_and_judge(batch, rows, BeamSearch(beam_width=1) if self.evaluation.greedy else self.search)

    def test_step(self, batch: TextBatch, batch_idx: int) -> None:
        self._evaluate(batch)
        self._decode_and_judge(batch, list(range(len(batch.ids))), self.search)

    def _is_decoded(self, name: str) -> bool:
        """Whether a validation sentence is in the sample: the same in every epoch and for any batches and ranks."""
        total = self.trainer.datamodule.count("validation")  # type: ignore[attr-defined]
        return zlib.crc32(name.encode()) % max(1, total) < self.evaluation.sentences

    def _evaluate(self, batch: TextBatch) -> None:
        logits, tokens = self.logits(batch), packed_target(batch)
        self.eval_perplexity.update(logits, tokens)
        self.eval_accuracy.update(logits, tokens)
        loss = self.loss(logits, tokens, batch.target_lengths)
        self.eval_loss.update(loss.mean, loss.weight)

    def _decode_and_judge(self, batch: TextBatch, rows: list[int], search: BeamSearch) -> None:
        lengths = batch.source_lengths[rows]
        found = self.decode(batch.source[rows, : int(lengths.max())], lengths, search)
        texts = [self.target_tokenizer.decode(best[0].tokens) for best in found]
        references = [batch.targets[row] for row in rows]
        self.eval_bleu.update(texts, references)
        self.eval_chrf.update(texts, references)
        # of the first sentences of every batch, so that long and short ones are seen
        self._samples.append((batch.sources[rows[0]], references[0], texts[0]))
        attention = found[0][0].attention
        if attention is not None and attention.numel():
            self._attention = attention

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _log_evaluation(self, stage: str) -> None:
        metrics = {"loss": self.eval_loss, "perplexity": self.eval_perplexity, "accuracy": self.eval_accuracy}
        if stage == "test" or self.evaluation.sentences:
            metrics |= {"bleu": self.eval_bleu, "chrf": self.eval_chrf}
        # computed here, over all ranks' totals: Lightning would average per-batch rates
        self.log_dict({f"{stage}/{key}": metric.compute() for key, metric in metrics.items()}, prog_bar=True)
        for metric in metrics.values():
            metric.reset()
        self._show_samples(stage)

    def _show_samples(self, stage: str) -> None:
        chosen = self._samples[:: max(1, len(self._samples) // SAMPLES_SHOWN)][:SAMPLES_SHOWN]
        self._samples = []
        if self.trainer.sanity_checking:
            return
        columns = ["source", "reference", "translation"]
        show_table(self.loggers, f"{stage}/translations", columns, chosen, self.global_step)
        if self._attention is not None:
            show_picture(self.loggers, f"{stage}/attention", heat_map(self._attention), self.global_step)

    def decode(self, source: Tensor, lengths: Tensor, search: BeamSearch | None = None) -> list[list[Hypothesis]]:
        """Search the targets of padded source tokens ``(batch, time)``; the best hypothesis of each comes first."""
        memory = self.encoder(source, lengths)
        state = self.decoder.start(memory)
        chosen = search or self.search
        return chosen(self.decoder, state, memory.lengths, BOS_ID, EOS_ID, banned=(PAD_ID, BOS_ID))

    def predict_step(self, batch: TextBatch, batch_idx: int) -> list[dict[str, Any]]:
        """One row a sentence: its id, source, translation with its score, and the reference where there is one."""
        found = self.decode(batch.source, batch.source_lengths)
        rows = zip(batch.ids, batch.sources, found, batch.targets, strict=True)
        return [
            {
                "id": name,
                "source": source,
                "text": self.target_tokenizer.decode(best[0].tokens),
                "score": round(best[0].score, 4),
                "reference": reference,
            }
            for name, source, best, reference in rows
        ]

    def loss_of(self, batch: TextBatch) -> Tensor:
        return self.loss(self.logits(batch), packed_target(batch), batch.target_lengths).mean

    def bench_batch(self, seconds: float, batch_size: int) -> TextBatch:
        """Random pairs of three tokens a second on each side, as read aloud, down to half as long."""
        generator = torch.Generator().manual_seed(0)
        longest = max(2, round(3 * seconds))
        lengths = torch.linspace(longest, longest / 2, batch_size).long().clamp(min=1)
        sides = []
        for vocab_size in (self.encoder.vocab_size, self.decoder.vocab_size):
            tokens = torch.randint(SPECIAL_TOKENS, vocab_size, (batch_size, longest), generator=generator)
            tokens[~length_mask(lengths, longest)] = PAD_ID
            tokens[torch.arange(batch_size), lengths - 1] = EOS_ID
            sides.append(tokens)
        names = [f"bench-{i}" for i in range(batch_size)]
        return TextBatch(sides[0], lengths, sides[1], lengths.clone(), names, [""] * batch_size, [""] * batch_size)

    def units_of(self, batch: TextBatch) -> dict[str, Any]:
        return {self.example_unit: len(batch.ids), "target tokens": batch.target_lengths.sum()}


def packed_target(batch: TextBatch) -> Tensor:
    """The real target tokens ``(sum of target lengths,)``, row after row, as a decoder scores them."""
    return batch.target[length_mask(batch.target_lengths, batch.target.shape[1])]


def _check_shareable(encoder: Encoder, decoder: Decoder) -> None:
    ours, theirs = encoder.embedding.weight.shape, decoder.embedding.weight.shape
    if ours != theirs:
        raise ValueError(f"share_embeddings: the encoder's are {tuple(ours)}, the decoder's {tuple(theirs)}")
