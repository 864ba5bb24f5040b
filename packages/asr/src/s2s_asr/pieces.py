"""Recordings on their way through a transcriber: as jobs, cut into pieces, joined into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from s2s_asr.audio_input import Recording
from s2s_asr.chunks import Chunk
from s2s_asr.interfaces import TokenSpan
from s2s_asr.search.segments import Frames, RecordingParts, RecordingSearch
from s2s_core.audio.measures import Measures
from s2s_core.errors import UserError
from s2s_core.nn.mask import length_mask

RECORDINGS_AHEAD = 1024
"""The most recordings of a group."""


@dataclass
class Job:
    """A recording, or the error that kept it shut, and what is known of it so far."""

    recording: Recording | None
    error: UserError | None = None
    samples: int = 0
    measures: Measures | None = None
    """Of the whole recording, if it comes in several pieces and the features depend on the whole."""
    spans: list[TokenSpan] = field(default_factory=list)
    frames: RecordingSearch | Frames | None = None
    """Where frames go that something else searches; with None the decoder finds its text."""
    parts: RecordingParts | None = None
    """Where the decoder's texts go if it searches with language models."""

    def take(self, frames: Tensor, last: bool) -> None:
        """Take the next frames."""
        assert self.frames is not None
        self.frames.add(frames)
        if last:
            self.frames.finish()

    @property
    def duration_s(self) -> float:
        return 0.0 if self.recording is None else self.recording.duration_s


class Piece(NamedTuple):
    """What is recognised at once of a recording."""

    job: Job
    chunk: Chunk
    new_samples: int
    """Samples that no earlier piece of the recording held."""


def groups(jobs: Iterable[Job], seconds: float) -> Iterator[list[Job]]:
    """Cut a row of jobs after so many seconds of audio, or `RECORDINGS_AHEAD` recordings."""
    group: list[Job] = []
    held_s = 0.0
    for job in jobs:
        group.append(job)
        held_s += job.duration_s
        if held_s >= seconds or len(group) == RECORDINGS_AHEAD:
            yield group
            group, held_s = [], 0.0
    if group:
        yield group


def batches(pieces: Iterable[Piece], most_samples: int) -> Iterator[list[Piece]]:
    """Fill batches with pieces as they come, up to ``most_samples`` with padding, and at least one.

    Pieces with measures and pieces without, which are normalised by themselves, do not mix.
    """
    batch: list[Piece] = []
    longest = 0
    for piece in pieces:
        longer = max(longest, len(piece.chunk.audio))
        mixes = bool(batch) and (batch[0].job.measures is None) != (piece.job.measures is None)
        if batch and (mixes or longer * (len(batch) + 1) > most_samples):
            yield batch
            batch, longer = [], len(piece.chunk.audio)
        batch.append(piece)
        longest = longer
    if batch:
        yield batch


def refuse_no_numbers(batch: list[Piece], encodings: Tensor, lengths: Tensor) -> None:
    """Give recordings an error where a model that has diverged, or overflows, would find an empty text in them."""
    broken = encodings.isnan().any(dim=-1) & length_mask(lengths, encodings.shape[1])
    for piece, is_broken in zip(batch, broken.any(dim=1).tolist(), strict=True):
        if is_broken and piece.job.recording is not None:
            piece.job.error = UserError(f"{piece.job.recording.name}: the model hears values in it that are no numbers")
