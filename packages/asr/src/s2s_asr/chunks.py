"""Long recordings as overlapping chunks whose frames fall where those of the whole would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Chunk(NamedTuple):
    """A part of a recording, and which of its frames count."""

    audio: Tensor
    """``(samples,)``."""
    first_frame: int
    """The frame of the recording that the chunk's first frame is."""
    keep_from: int
    """The chunk's first frame that counts."""
    keep_to: int | None
    """One past the last frame that counts; ``None`` in the last chunk, which counts to its end."""


class ChunkPlan(NamedTuple):
    """Sizes in frames of the encoder's output."""

    frame_samples: int
    """Audio samples from one frame to the next."""
    window: int
    """Frames of a chunk; 0 leaves recordings whole."""
    half_overlap: int
    """Frames that a chunk leaves to each neighbour."""

    def cut(self, blocks: Iterator[Tensor]) -> Iterator[Chunk]:
        """Yield the chunks of a recording that comes in blocks; holds little more than one chunk and one block."""
        window, hop = (n * self.frame_samples for n in (self.window, self.window - 2 * self.half_overlap))
        first_frame, keep_from = 0, 0
        held = torch.zeros(0)
        for block in blocks:
            held = torch.cat([held, block])
            while window and len(held) > window:
                yield Chunk(held[:window], first_frame, keep_from, self.window - self.half_overlap)
                held = held[hop:]
                first_frame, keep_from = first_frame + self.window - 2 * self.half_overlap, self.half_overlap
        yield Chunk(held, first_frame, keep_from, None)


def plan_chunks(frame_samples: int, sample_rate_hz: int, chunk_s: float | None, overlap_s: float) -> ChunkPlan:
    """Plan chunks of about ``chunk_s`` that share about ``overlap_s`` with the next, in whole frames.

    Raises:
        ValueError: if the overlap leaves a chunk no frame of its own.
    """
    if chunk_s is None:
        return ChunkPlan(frame_samples, 0, 0)
    frame_s = frame_samples / sample_rate_hz
    window, half_overlap = int(chunk_s / frame_s), round(overlap_s / frame_s / 2)
    if half_overlap < 0 or window <= 2 * half_overlap:
        raise ValueError(f"chunk_s must exceed overlap_s, and neither be negative; got {chunk_s} and {overlap_s}")
    return ChunkPlan(frame_samples, window, half_overlap)


def samples_per_frame(frames_of: Callable[[Tensor], Tensor], sample_rate_hz: int) -> int:
    """Find the samples from one frame to the next of a front end that turns sample counts into frame counts.

    Raises:
        ValueError: if frames do not come at regular distances below 2 s.
    """
    samples = torch.arange(2 * sample_rate_hz, 10 * sample_rate_hz)
    steps = frames_of(samples).diff().nonzero()[:, 0].diff()
    if not len(steps) or not bool((steps == steps[0]).all()):
        raise ValueError("the encoder's frames do not come at regular distances, so its recordings cannot be chunked")
    return int(steps[0])
