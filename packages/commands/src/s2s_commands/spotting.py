"""Keywords in a stream: a window that slides, probabilities that are smoothed, and a threshold."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from s2s_core.errors import UserError

_WINDOWS_AT_ONCE = 64


@dataclass(frozen=True)
class Spotting:
    """How a stream is listened to.

    Raises:
        ValueError: if a duration is not positive, windows leave gaps, or the threshold is no probability.
    """

    window_s: float = 1.0
    """What is classified at once."""
    hop_s: float = 0.1
    """Between windows."""
    smooth_s: float = 0.3
    """The probabilities of windows within this time are averaged."""
    threshold: float = 0.7
    """A keyword is heard when its averaged probability reaches this."""
    quiet_s: float = 1.0
    """After a keyword, none is heard for so long: one word is one detection."""
    floor_db: float = -50.0
    """A window whose loudest sample is below this (full scale is 0) holds no keyword, whatever the model says."""
    ignored: tuple[str, ...] = ("silence", "unknown")
    """Classes that are never heard."""

    def __post_init__(self) -> None:
        for name in ("window_s", "hop_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.hop_s > self.window_s:
            raise ValueError(f"hop_s is {self.hop_s}, longer than window_s ({self.window_s}): sound would go unheard")
        for name in ("smooth_s", "quiet_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold must be above 0 and at most 1, got {self.threshold}")


@dataclass(frozen=True)
class Detection:
    """A keyword that was heard."""

    label: str
    probability: float
    """Averaged, when it reached the threshold."""
    start_s: float
    end_s: float
    """The window that decided; counted from the stream's beginning."""


class KeywordSpotter:
    """Listens to a stream piece by piece; how it is cut into pieces changes nothing.

    Window ``k`` holds the samples from ``k * hop`` on, and its probabilities are those of that stretch classified
    alone. They are averaged over the last ``smooth_s``, as in Chen et al. 2014 (Small-footprint keyword spotting using
    deep neural networks, section 2.3), and a class is heard when it leads with at least the threshold.

    Args:
        probabilities: of padded audio ``(batch, samples)`` and lengths: ``(batch, classes)``.
        classes: the names of the classes.
        sample_rate_hz: of the stream.
        settings: the rest.

    Raises:
        UserError: if all classes are ignored.
    """

    def __init__(
        self,
        probabilities: Callable[[Tensor, Tensor], Tensor],
        classes: Sequence[str],
        sample_rate_hz: int,
        settings: Spotting | None = None,
    ) -> None:
        self.settings = settings or Spotting()
        self.classes = list(classes)
        self.sample_rate_hz = sample_rate_hz
        self._probabilities = probabilities
        self._heard = [place for place, name in enumerate(classes) if name not in self.settings.ignored]
        if not self._heard:
            raise UserError(f"nothing to listen for: all classes are ignored ({', '.join(classes)})")
        self._window = max(1, round(self.settings.window_s * sample_rate_hz))
        self._hop = max(1, round(self.settings.hop_s * sample_rate_hz))
        recent = 1 + int(self.settings.smooth_s / self.settings.hop_s + 1e-6)
        self._recent: deque[Tensor] = deque(maxlen=recent)
        self._held = torch.zeros(0)
        self._windows = 0
        """Windows done."""
        self._deaf_until_s = 0.0

    def feed(self, samples: Tensor | np.ndarray) -> list[Detection]:
        """Take the next samples ``(samples,)`` and return what was heard in the windows that they complete."""
        self._held = torch.cat([self._held, torch.as_tensor(samples, dtype=torch.float32)])
        complete = max(0, (len(self._held) - self._window) // self._hop + 1)
        detections: list[Detection] = []
        for start in range(0, complete, _WINDOWS_AT_ONCE):
            count = min(_WINDOWS_AT_ONCE, complete - start)
            stretch = self._held[start * self._hop :]
            detections += self._listen(stretch.unfold(0, self._window, self._hop)[:count])
        self._held = self._held[complete * self._hop :]
        return detections

    def finish(self) -> list[Detection]:
        """End the stream: what is left over and fills no window is completed with silence."""
        new = len(self._held) - max(0, self._window - self._hop) if self._windows else len(self._held)
        if new <= 0:
            return []
        return self.feed(torch.zeros(max(0, self._window - len(self._held))))

    def window_probabilities(self, windows: Tensor) -> Tensor:
        """Probabilities ``(windows, classes)`` of windows ``(windows, samples)``; zeros for one below the floor."""
        lengths = torch.full((len(windows),), windows.shape[1])
        audible = windows.abs().amax(dim=1) >= 10 ** (self.settings.floor_db / 20)
        return self._probabilities(windows.contiguous(), lengths) * audible[:, None]

    def _listen(self, windows: Tensor) -> list[Detection]:
        detections = []
        for row in self.window_probabilities(windows):
            self._recent.append(row)
            found = self._decide(torch.stack(list(self._recent)).mean(dim=0))
            self._windows += 1
            if found is not None:
                detections.append(found)
        return detections

    def _decide(self, averaged: Tensor) -> Detection | None:
        start_s = self._windows * self._hop / self.sample_rate_hz
        end_s = start_s + self._window / self.sample_rate_hz
        best = int(averaged.argmax())
        if best not in self._heard or float(averaged[best]) < self.settings.threshold or end_s < self._deaf_until_s:
            return None
        self._deaf_until_s = end_s + self.settings.quiet_s
        return Detection(self.classes[best], float(averaged[best]), start_s, end_s)
