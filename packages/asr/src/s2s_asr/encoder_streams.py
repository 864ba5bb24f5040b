"""Encoders at work on an utterance that is still going on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from s2s_asr.interfaces import Encoder, EncoderStream
from s2s_core.nn.rnn import Recurrent, State


class WindowStream(EncoderStream):
    """Anything that sees a bounded stretch around each frame, computed anew over the frames that are still in sight.

    Args:
        run: frames ``(1, time, features)`` to ``(1, ceil(time / stride), out)``, each output as if zeros lay outside.
        before, after: input frames that an output sees on each side of its own place, which is ``stride`` times its
            number. Equal to `run` on the whole if it sees no more; a smaller window bounds latency and work instead.
        stride: input frames from one output to the next; a run may begin at any multiple of it.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], before: int, after: int, stride: int = 1) -> None:
        self._run = run
        self._before, self.lookahead, self.stride = before, after, stride
        self._held: Tensor | None = None
        self._first = 0
        """The output whose place the held frames begin at."""
        self._done = 0
        self._nothing: Tensor | None = None

    def push(self, frames: Tensor, last: bool = False) -> Tensor:
        held = frames if self._held is None else torch.cat([self._held, frames], dim=1)
        end = self._first * self.stride + held.size(1)
        ready = (
            -(-end // self.stride) if last else max(0, end - self.lookahead - 1) // self.stride + (end > self.lookahead)
        )
        if ready <= self._done:
            self._held = held
            return self._no_output(held)
        made = self._run(held)[:, self._done - self._first : ready - self._first]
        self._done = ready
        first = max(self._first, (ready * self.stride - self._before) // self.stride)
        self._held, self._first = held[:, (first - self._first) * self.stride :], first
        return made

    def _no_output(self, like: Tensor) -> Tensor:
        if self._nothing is None:  # of no frames most layers cannot make any
            self._nothing = self._run(like.new_zeros(1, self.stride, like.size(2)))[:, :0]
        return self._nothing


class RecurrentStream(EncoderStream):
    """Recurrent layers of one direction, which carry their state on."""

    stride = 1
    lookahead = 0

    def __init__(self, layer: Recurrent) -> None:
        self._layer = layer
        self._state: State | None = None

    def push(self, frames: Tensor, last: bool = False) -> Tensor:
        if not frames.size(1):
            return frames.new_zeros(1, 0, self._layer.out_features)
        lengths = torch.tensor([frames.size(1)], device=frames.device)
        made, self._state = self._layer(frames, lengths, self._state)
        return made


class ChainStream(EncoderStream):
    """One after the other."""

    def __init__(self, streams: Sequence[EncoderStream]) -> None:
        self._streams = streams
        self.stride, self.lookahead = 1, 0
        for stream in streams:
            self.lookahead += stream.lookahead * self.stride
            self.stride *= stream.stride

    def push(self, frames: Tensor, last: bool = False) -> Tensor:
        for stream in self._streams:
            frames = stream.push(frames, last)
        return frames


def window_of(encoder: Encoder, before: int, after: int, stride: int) -> WindowStream:
    """A whole encoder over windows; exact if no encoding sees more than them."""

    def run(frames: Tensor) -> Tensor:
        encodings, lengths = encoder(frames, torch.tensor([frames.size(1)], device=frames.device))
        return encodings[:, : int(lengths)]

    return WindowStream(run, before, after, stride)
