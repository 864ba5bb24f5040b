"""Recordings to stretches of samples that a vocoder learns to predict."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_core.ceiling import ceil_div, round_up
from s2s_core.data.kept_audio import KeptAudio, fits
from s2s_core.data.loader import ResumableLoader
from s2s_core.data.readable_batches import IndexedBatches
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.speech import CutTable
from s2s_core.data.splits import SplitData
from s2s_core.data.utterance_data import given_manifest
from s2s_core.errors import UserError
from s2s_tts.spectrogram import MelSpectrogram

_log = logging.getLogger(__name__)


@dataclass
class StretchBatch:
    """Stretches of recordings, padded to the longest."""

    audio: Tensor
    """``(batch, margin + samples + margin)``, float32: the margins are for the frames at either end."""
    margin: int
    """Samples before the first and after the last one, whole frames."""
    begins: Tensor
    """``(batch,)``: the first sample that counts; those before it are there to be looked back at."""
    ends: Tensor
    """``(batch,)``: one past the last sample that counts."""
    ids: list[str]
    """The recordings' names in their manifest."""


@dataclass(frozen=True)
class Geometry:
    """How stretches are cut, in samples."""

    hop: int
    """Stretches begin on frames, which are this far apart."""
    margin: int
    """What a frame sees beyond its centre, in whole frames."""
    context: int
    """What a prediction looks back at, in whole frames."""

    @classmethod
    def of(cls, features: MelSpectrogram, receptive_field: int) -> Geometry:
        hop = features.hop_samples
        # a frame more than is looked back at: a learnt upsampling sees the frames to either side
        return cls(hop, round_up(features.window_samples, hop), round_up(receptive_field, hop) + hop)


class Stretch(NamedTuple):
    """One stretch of a recording: its part of a `StretchBatch`."""

    audio: Tensor
    begin: int
    end: int
    id: str


class Stretches(IndexedBatches[Stretch, StretchBatch]):
    """Every sample of every recording once: each stretch with what its first sample looks back at.

    Args:
        cuts: the recordings.
        samples: of a stretch, what is looked back at not counted.
        sample_rate_hz: of the batches.
        geometry: see `Geometry`.
        keep_audio: keep decoded recordings for their other stretches and the next epoch.
    """

    example: ClassVar[str] = "stretch"

    def __init__(
        self, cuts: CutTable, samples: int, sample_rate_hz: int, geometry: Geometry, keep_audio: bool = False
    ) -> None:
        self.cuts, self.samples, self.sample_rate_hz, self.geometry = cuts, samples, sample_rate_hz, geometry
        self._audio = KeptAudio(cuts, sample_rate_hz, keep_audio)
        lengths = np.maximum(1, (cuts.durations_s * sample_rate_hz).astype(np.int64))
        counts = ceil_div(lengths, samples)
        self.places = [(cut, part * samples) for cut, count in enumerate(counts) for part in range(count)]
        """The recording and the first sample of each stretch."""
        taken = [min(samples, int(lengths[cut]) - begin) + min(begin, geometry.context) for cut, begin in self.places]
        self.durations_s = np.array(taken) / sample_rate_hz
        super().__init__(len(self.places), substitute=False)

    def collate(self, found: list[Stretch]) -> StretchBatch:
        audio, begins, ends, ids = zip(*found, strict=True)
        padded = pad_sequence(list(audio), batch_first=True)
        whole = round_up(padded.size(1) - 2 * self.geometry.margin, self.geometry.hop) + 2 * self.geometry.margin
        padded = torch.nn.functional.pad(padded, (0, whole - padded.size(1)))
        return StretchBatch(padded, self.geometry.margin, torch.tensor(begins), torch.tensor(ends), list(ids))

    def read(self, key: int) -> Stretch:
        cut, begin = self.places[key]
        audio, margin = self._audio[cut], self.geometry.margin
        first = max(0, begin - self.geometry.context)
        end = min(len(audio), begin + self.samples)
        around = torch.nn.functional.pad(audio, (margin, margin))[first : end + 2 * margin]
        return Stretch(around, begin - first, max(begin, end) - first, self.cuts.info(cut).id)


class VocoderData(SplitData):
    """Batches of stretches of recordings, from Lhotse manifests; transcripts are not looked at.

    Each epoch has every sample of every recording once, with the model's whole receptive field before it (or the
    recording's beginning); the order of training batches is a function of seed and epoch, and a run resumed within an
    epoch goes on with the next batch. OpenSeq2Seq cut each recording at a random place, once.

    Args:
        train, validation, test: manifests of Lhotse cuts (``.jsonl.gz``), one or several, as ``prepare`` writes them.
        segment_samples: of a stretch; more waste less on what is only looked back at. A multiple of the frames'
            spacing.
        batch_size: the most stretches in a batch.
        num_workers: processes that decode audio; 0 decodes in the training process.
        seed: of the order of training batches.
        keep_audio_mb: a split whose decoded audio fits in this much memory (per worker process) is decoded once, others
            once for each stretch.

    Raises:
        ValueError: if a number is not positive.
    """

    def __init__(
        self,
        train: str | list[str] | None = None,
        validation: str | list[str] | None = None,
        test: str | list[str] | None = None,
        segment_samples: int = 16384,
        batch_size: int = 8,
        num_workers: int = 0,
        seed: int = 0,
        keep_audio_mb: int = 512,
    ) -> None:
        super().__init__(num_workers)
        if segment_samples < 1 or batch_size < 1:
            raise ValueError(f"segment_samples and batch_size must be positive, got {segment_samples}, {batch_size}")
        self.manifests = {"train": train, "validation": validation, "test": test}
        self.segment_samples, self.batch_size = segment_samples, batch_size
        self.seed = seed
        self.keep_audio_mb = keep_audio_mb

    def setup(self, stage: str) -> None:
        """Read the manifests of a stage, and say what there is.

        Raises:
            UserError: if a manifest is not given or cannot be read, or stretches do not begin on frames.
        """
        hop = self._features.hop_samples
        if self.segment_samples % hop:
            raise UserError(
                f"data.init_args.segment_samples: expected a multiple of a frame's {hop}, got {self.segment_samples}"
            )
        for split in self._unread(stage, self.manifests):
            given = given_manifest(self.manifests, split)
            cuts = CutTable.load([given] if isinstance(given, str) else given)
            stretches = self._read[split] = self._stretches(cuts)
            if self._speaks:
                hours = cuts.durations_s.sum() / 3600
                _log.info("%s: %d recordings, %.2f h, %d stretches", split, len(cuts), hours, len(stretches))

    @property
    def _vocoder(self) -> torch.nn.Module:
        return self._module.vocoder

    @property
    def _features(self) -> MelSpectrogram:
        return self._vocoder.features  # type: ignore[return-value]

    def _stretches(self, cuts: CutTable) -> Stretches:
        geometry = Geometry.of(self._features, self._vocoder.network.shape.receptive_field)  # type: ignore[union-attr]
        rate = self._features.sample_rate_hz
        return Stretches(cuts, self.segment_samples, rate, geometry, fits(cuts, rate, self.keep_audio_mb))

    def loader(self, split: str) -> ResumableLoader[StretchBatch]:
        """The batches of a split that `setup` has read."""
        rank, world_size = self._rank_and_size
        training = split == "train"
        stretches: Stretches = self._read[split]
        sampler = BucketBatchSampler(
            stretches.durations_s,
            batch_total=float(self.batch_size * stretches.durations_s.max()),
            max_batch_size=self.batch_size,
            min_bucket_batches=1,
            shuffle=training,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
        )
        return self._resumable(split, stretches, sampler, on_failures=_raise_first)


def _raise_first(failures: list[str]) -> None:
    raise UserError(failures[0])
