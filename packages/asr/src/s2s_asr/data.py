"""Manifests of recordings and transcripts to batches for training and evaluation."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from s2s_asr.interfaces import SpeechBatch
from s2s_asr.utterances import Utterances
from s2s_core.data.loader import ResumableLoader
from s2s_core.data.mixing import MixedBatchSampler, Source, shares
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError
from s2s_core.part import Part
from s2s_core.text.tokenizers import Tokenizer

_log = logging.getLogger(__name__)

OnError = Literal["raise", "skip"]
Manifests = str | list[str | list[str]]
"""One manifest, several, or several groups of them."""

_SPLITS_OF_STAGE = {
    "fit": ("train", "validation"),
    "validate": ("validation",),
    "test": ("test",),
    "predict": ("predict",),
}
_LISTED = 20
"""Utterances left out that are named at the end of an epoch; the rest are counted."""


@dataclass
class SpeechDetails:
    """What few users of `SpeechData` change."""

    eval_batch_seconds: float | None = None
    """Budget of a batch in evaluation; that of training if None. It changes no result."""
    min_duration_s: float = 0.1
    """Shorter training utterances are left out."""
    sample_rate_hz: int | None = None
    """Recordings at other rates are resampled to this; if None, to what the model's features expect, or 16000."""
    min_bucket_batches: int = 2
    bucket_width: float = 0.05
    """See `BucketBatchSampler`."""
    seed: int = 0
    """Of the order of training batches."""
    keep_audio_mb: int = 512
    """A split whose decoded audio fits in this much memory (per worker process) is decoded once."""
    train_weights: list[float] | None = None
    """The share of each entry of ``train`` in the utterances of an epoch, in any unit; 0 leaves one out. Without them,
    an epoch is one pass over everything."""
    epoch_utterances: int | None = None
    """Utterances of an epoch. If None, all, or with ``train_weights`` as many as make one pass over the first entry of
    ``train`` whose weight is not 0."""


class SpeechData(Part, LightningDataModule):
    """Batches of utterances of like length from Lhotse manifests, under a budget of padded seconds.

    The order of training batches is a function of seed and epoch, the same for any number of workers; a run resumed
    within an epoch goes on with the batch after the last one trained. Evaluation sees every utterance exactly once,
    whatever the number of processes.

    With ``details.train_weights``, an epoch draws from each entry of ``train`` in the given shares, as
    ``lhotse.CutSet.mux`` over repeated sets does, but with exact counts: see `MixedBatchSampler`.

    Args:
        train, validation, test, predict: manifests of Lhotse cuts (``.jsonl.gz``) or Lhotse Shar folders, one or
            several, as ``prepare`` writes them. An entry may itself be a list, which then has one weight.
        batch_seconds: the most seconds in a batch, padding included.
        batch_size: the most utterances in a batch.
        max_duration_s: longer training utterances are left out, and counted. Evaluation keeps them.
        num_workers: processes that decode audio; 0 decodes in the training process.
        on_error: what to do with an utterance whose recording cannot be read or whose transcript has unknown
            characters: ``raise``, or ``skip`` it, counted and listed at the end of the epoch. A training batch of
            which nothing is left is replaced by the next utterance that can be read.
        details: the rest.
    """

    def __init__(
        self,
        train: Manifests | None = None,
        validation: Manifests | None = None,
        test: Manifests | None = None,
        predict: Manifests | None = None,
        batch_seconds: float = 120.0,
        batch_size: int | None = None,
        max_duration_s: float | None = None,
        num_workers: int = 0,
        on_error: OnError = "raise",
        details: SpeechDetails | None = None,
    ) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer utterances to evaluate than processes
        if batch_seconds <= 0:
            raise ValueError(f"batch_seconds must be positive, got {batch_seconds}")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.manifests = {"train": train, "validation": validation, "test": test, "predict": predict}
        self.batch_seconds = batch_seconds
        self.batch_size = batch_size
        self.max_duration_s = max_duration_s
        self.num_workers = num_workers
        self.on_error: OnError = on_error
        self.details = details or SpeechDetails()
        self.tokenizer: Tokenizer | None = None
        """The model's, once a trainer is attached; set it by hand to use the loaders without one."""
        self.skipped: dict[str, list[str]] = {}
        """For each split, a line for each utterance that was left out since its last listing."""
        self._cuts: dict[str, CutTable] = {}
        self._source_of_cut = np.zeros(0, dtype=np.int64)

    def setup(self, stage: str) -> None:
        """Read the manifests of a stage, check their transcripts, and say what there is.

        Raises:
            UserError: if a manifest is not given, cannot be read or holds nothing usable.
        """
        module = self.trainer.lightning_module if self.trainer is not None else None
        if module is not None and isinstance(getattr(module, "tokenizer", None), Tokenizer):
            self.tokenizer = module.tokenizer  # type: ignore[assignment]
        for split in _SPLITS_OF_STAGE[stage]:
            needless = stage == "fit" and split == "validation" and not self.manifests[split]
            if split not in self._cuts and not needless:
                self._cuts[split] = self._load(split)

    def _load(self, split: str) -> CutTable:
        given = self.manifests[split]
        if not given:
            wants_any = split == "predict"
            hint = "any that `prepare` wrote will do" if wants_any else f"`prepare CORPUS` writes {split}.jsonl.gz"
            raise UserError(f"data.init_args.{split}: no manifest given; {hint}")
        tables = [CutTable.load(paths) for paths in _groups(given)]
        cuts = CutTable.joined(tables)
        keep = np.ones(len(cuts), dtype=bool)
        notes = [] if split == "predict" else self._check_transcripts(split, cuts, keep)
        if split == "train":
            notes += self._leave_out_by_duration(cuts, keep)
        if not keep.any():
            raise UserError(f"{given}: none of the {len(keep)} utterances is left ({'; '.join(notes)})")
        cuts = cuts.select(np.flatnonzero(keep))
        if split == "train":
            self._source_of_cut = np.repeat(np.arange(len(tables)), [len(table) for table in tables])[keep]
        self._announce(split, cuts, notes)
        return cuts

    def _check_transcripts(self, split: str, cuts: CutTable, keep: np.ndarray) -> list[str]:
        if self.tokenizer is None:
            raise UserError("SpeechData: set .tokenizer, or use it with a trainer whose model has one")
        for i in range(len(cuts)):
            info = cuts.info(i)
            try:
                self.tokenizer.encode(info.text)
            except ValueError as error:
                keep[i] = False
                self._note_failures(split, [f"cut {info.id!r}: {error}"])
        self._list_skipped(split)
        failed = int((~keep).sum())
        return [f"{failed} with unknown characters left out"] if failed else []

    def _leave_out_by_duration(self, cuts: CutTable, keep: np.ndarray) -> list[str]:
        notes: list[str] = []
        shorter = cuts.durations_s < self.details.min_duration_s
        longer = cuts.durations_s > (np.inf if self.max_duration_s is None else self.max_duration_s)
        for which, limit, word in (
            (shorter, self.details.min_duration_s, "shorter"),
            (longer, self.max_duration_s, "longer"),
        ):
            if (count := int((which & keep).sum())) > 0:
                notes.append(f"{count} {word} than {limit:g} s left out")
            keep &= ~which
        return notes

    def _announce(self, split: str, cuts: CutTable, notes: list[str]) -> None:
        sampler = self._sampler(split, cuts)
        figures = [
            f"{len(cuts)} utterances",
            f"{cuts.durations_s.sum() / 3600:.2f} h",
            *(
                [f"an epoch draws {' + '.join(map(str, sampler.draws))}"]
                if isinstance(sampler, MixedBatchSampler)
                else []
            ),
            f"{sampler.batches_per_epoch} batches of up to {sampler.batch_total:g} s",
            f"padding {100 * sampler.padding_waste():.1f} %",
        ]
        if isinstance(sampler, MixedBatchSampler):
            figures.insert(2, f"an epoch draws {' + '.join(map(str, sampler.draws))}")
        if self.trainer is None or self.trainer.is_global_zero:
            _log.info("%s: %s", split, ", ".join(figures + notes))

    @property
    def sample_rate_hz(self) -> int:
        """The rate at which batches come."""
        if self.details.sample_rate_hz is not None:
            return self.details.sample_rate_hz
        module = self.trainer.lightning_module if self.trainer is not None else None
        return int(getattr(getattr(module, "features", None), "sample_rate_hz", 16000))

    @property
    def padding_waste(self) -> float:
        """The share of padding in the training batches' seconds (epoch 0); 0 is none."""
        return self._sampler("train", self._cuts["train"]).padding_waste()

    def _sampler(self, split: str, cuts: CutTable) -> BucketBatchSampler | MixedBatchSampler:
        training = split == "train"
        budget = self.batch_seconds if training else self.details.eval_batch_seconds or self.batch_seconds
        rank, world_size = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        details = self.details
        common = (budget, self.batch_size, details.min_bucket_batches if training else 1, details.bucket_width)
        if training and (details.train_weights is not None or details.epoch_utterances is not None):
            return MixedBatchSampler(cuts.durations_s, self._sources(), *common, details.seed, rank, world_size)
        return BucketBatchSampler(cuts.durations_s, *common, training, details.seed, rank, world_size)

    def _sources(self) -> list[Source]:
        """What an epoch of training draws from each entry of ``train``."""
        count = len(_groups(self.manifests["train"] or []))
        members = [np.flatnonzero(self._source_of_cut == number) for number in range(count)]
        sizes = [len(each) for each in members]
        weights = sizes if self.details.train_weights is None else self.details.train_weights
        try:
            draws = shares(sizes, weights, self.details.epoch_utterances)
        except ValueError as error:
            raise UserError(f"data.init_args.details.train_weights: {error}") from None
        return [Source(*each) for each in zip(members, draws, strict=True)]

    def train_dataloader(self) -> ResumableLoader[SpeechBatch]:
        return self.loader("train")

    def val_dataloader(self) -> ResumableLoader[SpeechBatch] | list[ResumableLoader[SpeechBatch]]:
        return self.loader("validation") if "validation" in self._cuts else []

    def test_dataloader(self) -> ResumableLoader[SpeechBatch]:
        return self.loader("test")

    def predict_dataloader(self) -> ResumableLoader[SpeechBatch]:
        return self.loader("predict")

    def predict_ids(self) -> list[str]:
        """The utterances' names in the order of the predict manifest."""
        cuts = self._cuts["predict"]
        return [cuts.info(index).id for index in range(len(cuts))]

    def loader(self, split: str) -> ResumableLoader[SpeechBatch]:
        """The batches of a split that `setup` has read."""
        cuts = self._cuts[split]
        training = split == "train"
        dataset = Utterances(
            cuts,
            self.tokenizer if split != "predict" else None,
            self.sample_rate_hz,
            substitute=training,
            keep_audio=cuts.durations_s.sum() * self.sample_rate_hz * 4 <= self.details.keep_audio_mb * 2**20,
        )
        return ResumableLoader(
            dataset,
            self._sampler(split, cuts),
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
            on_failures=lambda failures: self._note_failures(split, failures),
            on_epoch_end=lambda: self._list_skipped(split),
            trained=self._trained if training and self.trainer is not None else None,
        )

    def _trained(self) -> tuple[int, int | float]:
        assert self.trainer is not None
        done: int = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
        return done, self.trainer.num_training_batches

    def teardown(self, stage: str) -> None:
        for split in list(self.skipped):
            self._list_skipped(split)

    def _note_failures(self, split: str, failures: list[str]) -> None:
        if self.on_error == "raise":
            raise UserError(f"{split}: {failures[0]} (data.init_args.on_error=skip leaves such utterances out)")
        self.skipped.setdefault(split, []).extend(failures)

    def _list_skipped(self, split: str) -> None:
        lines = self.skipped.pop(split, [])
        if lines:
            more = [f"... and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
            listing = "\n  ".join([f"{split}: {len(lines)} utterances left out:", *lines[:_LISTED], *more])
            _log.warning(listing)  # on every rank: each has left out its own


def _groups(given: Manifests) -> list[list[str]]:
    entries = [given] if isinstance(given, str) else given
    return [[entry] if isinstance(entry, str) else entry for entry in entries]
