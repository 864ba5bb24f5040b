"""Features of a recording that is still going on."""

from __future__ import annotations

import torch
from torch import Tensor

from s2s_core.audio.features import Features
from s2s_core.audio.measures import Measures


class RunningMeasures:
    """Peak, mean and deviation of what has been heard so far.

    When the peak grows, the frames measured before are taken to have been divided by the new one: in a logarithm that
    is the same step for every frame, but for those at the floor.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        self._peak = torch.zeros(())
        self._count = 0
        self._mean = torch.zeros(features.num_features, dtype=torch.float64)
        self._squares = torch.zeros(features.num_features, dtype=torch.float64)

    def hear(self, samples: Tensor) -> Tensor:
        """Take the peak of more samples ``(samples,)`` into account; returns the new one."""
        peak = samples.abs().amax().cpu() if len(samples) else self._peak
        if peak > self._peak:
            if self._count and self._peak and self._features.spectrum.peak_gain:
                self._mean += self._features.gain_step(float(self._peak / peak)).double()
            self._peak = peak
        return self._peak

    def add(self, frames: Tensor) -> None:
        """Take frames ``(time, features)``, not normalised, into account."""
        if not len(frames):
            return
        new = frames.double().cpu()
        mean, count = new.mean(0), self._count + len(new)
        between = (mean - self._mean).square() * (self._count * len(new) / count)
        self._squares += (new - mean).square().sum(0) + between
        self._mean += (mean - self._mean) * (len(new) / count)
        self._count = count

    def now(self, device: torch.device) -> Measures:
        """What is known so far."""
        mean, variance = self._mean, self._squares / max(self._count, 1)
        if self._features.normalise == "utterance":  # over all features alike
            whole = mean.mean()
            variance = (variance + mean.square()).mean() - whole.square()
            mean, variance = whole.expand_as(mean), variance.expand_as(mean)
        deviation = variance.clamp(min=0).sqrt()
        return Measures(self._peak.to(device), mean.float().to(device), deviation.float().to(device))


class FeatureStream:
    """Turns samples into the frames that `Features` gives of the whole recording, as soon as each is complete.

    Where features depend on the whole recording (``needs_whole``), no stream can give those of the whole: it takes
    ``measures`` for it, or else what it has heard so far, and waits for ``warm_up_s`` of that before the first frame.

    Args:
        features: in evaluation mode.
        device: where they are computed.
        measures: of the recording or of one like it (the speaker's last, say); without them, they are estimated.
        warm_up_s: audio that the first estimate is made of.
    """

    def __init__(
        self, features: Features, device: torch.device, measures: Measures | None = None, warm_up_s: float = 1.0
    ) -> None:
        self.features = features
        self._device = device
        self._measures = measures
        self._running = RunningMeasures(features) if features.needs_whole and measures is None else None
        self._waiting = round(warm_up_s * features.sample_rate_hz) if self._running is not None else 0
        # a frame sees a window around its place, and pre-emphasis one sample before it
        self._before = features.window_samples // 2 if features.spectrum.centred else 0
        self._context = self._before // features.hop_samples + 1
        self._held = torch.zeros(0)
        self._first = 0
        """The frame that the held samples start with."""
        self._done = 0
        """Frames given so far."""

    @property
    def lookahead_samples(self) -> int:
        """How much later than its place, in samples, a frame is complete."""
        return self.features.window_samples - self._before

    def push(self, samples: Tensor, last: bool = False) -> Tensor:
        """More samples ``(samples,)`` to the frames ``(time, num_features)`` that they complete."""
        if self._running is not None:
            self._running.hear(samples)
        self._held = torch.cat([self._held, samples.cpu().float()])
        self._waiting -= len(samples)
        end = self._complete(last)
        if end <= self._done or (self._waiting > 0 and not last):
            return torch.zeros(0, self.features.num_features, device=self._device)
        frames = self._frames(slice(self._done - self._first, end - self._first))
        self._done = end
        drop = max(0, end - self._context - self._first)
        self._held, self._first = self._held[drop * self.features.hop_samples :], self._first + drop
        return frames

    def _complete(self, last: bool) -> int:
        held, hop = len(self._held), self.features.hop_samples
        if last:
            return self._first + int(self.features.output_lengths(torch.tensor(held)))
        beyond = held + self._before - self.features.window_samples
        return self._first + (beyond // hop + 1 if beyond >= 0 else 0)

    def _frames(self, new: slice) -> Tensor:
        audio = self._held[None].to(self._device)
        lengths = torch.tensor([audio.size(1)], device=self._device)
        if self._running is None:
            measures = None if self._measures is None else Measures.stack([self._measures])
            return self.features(audio, lengths, measures)[0][0, new]
        peak = self._running.now(self._device).peak[None]
        raw = self.features.unnormalised(audio, lengths, peak)[:, new]
        self._running.add(raw[0])
        measures = Measures.stack([self._running.now(self._device)])
        return self.features.normalised(raw, torch.tensor([raw.size(1)], device=self._device), measures)[0]
