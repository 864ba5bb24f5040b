"""Loss scales: factors of the loss that keep half-precision gradients from vanishing and from overflowing.

Pure state machines on Python numbers: a scale is told each step's largest gradient and says the next factor. They know
neither models nor devices.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from s2s_core.part import Part

LARGEST_EXPONENT = 16
"""float16 ends just below 2 ** 16."""


class LossScale(Part, ABC):
    """A factor of the loss, adapted to the gradients of each step.

    A step whose gradients are not all finite has overflowed; it is skipped, whatever the scale.
    """

    reads_sizes: ClassVar[bool] = True
    """Whether `update` looks at more than whether the largest gradient is finite."""

    def __init__(self, scale: float, minimum: float, maximum: float) -> None:
        if not 0.0 < minimum <= scale <= maximum < math.inf:
            raise ValueError(f"loss scale: expected 0 < minimum <= start <= maximum, got {minimum}, {scale}, {maximum}")
        self.scale, self.minimum, self.maximum = float(scale), float(minimum), float(maximum)

    @abstractmethod
    def update(self, largest: float) -> None:
        """Choose the next step's scale.

        Args:
            largest: the largest absolute value among this step's gradients, unscaled; infinite or NaN for an overflow.
                Any finite number will do for a scale that does not read sizes.
        """

    def state_dict(self) -> dict[str, Any]:
        """All that changes, as plain numbers."""
        return {"scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave, within this scale's own range."""
        for key in self.state_dict():
            setattr(self, key, state[key])
        self.scale = self._in_range(self.scale)

    def _in_range(self, scale: float) -> float:
        return min(max(scale, self.minimum), self.maximum)


class StaticScale(LossScale):
    """One factor for the whole training. Overflowed steps are skipped; OpenSeq2Seq applied them under a static scale.

    Args:
        scale: the factor; a power of two loses nothing to rounding.
    """

    reads_sizes = False

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__(scale, scale, scale)

    def update(self, largest: float) -> None:
        pass


class Backoff(LossScale):
    """Divides the scale at each overflow and multiplies it after ``step_window`` good steps in a row, time and again.

    The dynamic scale of OpenSeq2Seq and of Micikevicius et al. (arXiv 1710.03740), with OpenSeq2Seq's values; it starts
    at ``scale_max``.

    Args:
        scale_min: the smallest scale, and from there on overflows no longer change it.
        scale_max: the first and the largest scale.
        step_factor: by how much the scale is divided and multiplied.
        step_window: good steps before it grows.
    """

    reads_sizes = False

    def __init__(
        self, scale_min: float = 1.0, scale_max: float = 2.0**14, step_factor: float = 2.0, step_window: int = 2000
    ) -> None:
        super().__init__(scale_max, scale_min, scale_max)
        if step_factor <= 1.0 or step_window < 1:
            raise ValueError(
                f"step_factor, step_window: expected above 1 and at least 1, got {step_factor}, {step_window}"
            )
        self.step_factor, self.step_window = step_factor, step_window
        self.good_steps = 0

    def update(self, largest: float) -> None:
        if not math.isfinite(largest):
            self.good_steps = 0
            self.scale = self._in_range(self.scale / self.step_factor)
            return
        self.good_steps += 1
        if self.good_steps % self.step_window == 0:
            self.scale = self._in_range(self.scale * self.step_factor)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "good_steps": self.good_steps}


class LogMax(LossScale):
    """Keeps the gradients' upper tail below float16's end, as if their largest logarithm were normally distributed.

    With x = log2 of a step's largest gradient::

        mu      = average of x, decayed by beta1
        sigma^2 = average of x^2 - (average of x)^2, both decayed by beta2, at least 0
        scale   = 2 ** (16 - (mu + overflow_std_dev * sigma)), within [scale_min, scale_max]

    averages corrected for their start at zero. The first step has ``scale_min``: nothing is known before it.

    OpenSeq2Seq's (its documents call it LogNormal) had a fault: an overflow counted as x = 2 ** log_max = 65536 where
    x = log_max = 16 was meant, so that one overflow pinned the scale at 1 for thousands of steps. Here it counts as
    ``log_max``, and the scale recovers. A step whose gradients are all zero has no logarithm; the original took minus
    infinity into its averages, which never left them; here it changes nothing.

    Args:
        scale_min: the first and the smallest scale.
        scale_max: the largest.
        log_max: the x that an overflow counts as.
        beta1: decay of the mean.
        beta2: decay of the variance's averages.
        overflow_std_dev: how many standard deviations to leave; 3.09 lets one step in a thousand overflow.
    """

    def __init__(
        self,
        scale_min: float = 1.0,
        scale_max: float = 2.0**14,
        log_max: float = 16.0,
        beta1: float = 0.99,
        beta2: float = 0.999,
        overflow_std_dev: float = 3.09,
    ) -> None:
        super().__init__(scale_min, scale_min, scale_max)
        if not (0.0 <= beta1 < 1.0 and 0.0 <= beta2 < 1.0):
            raise ValueError(f"beta1, beta2: expected numbers in [0, 1), got {beta1}, {beta2}")
        self.log_max, self.beta1, self.beta2, self.overflow_std_dev = log_max, beta1, beta2, overflow_std_dev
        self.steps = 0
        self.mean = self.slow_mean = self.slow_square = 0.0

    def update(self, largest: float) -> None:
        if largest == 0.0:
            return
        x = math.log2(largest) if math.isfinite(largest) else self.log_max
        self.steps += 1
        self.mean += (1.0 - self.beta1) * (x - self.mean)
        self.slow_mean += (1.0 - self.beta2) * (x - self.slow_mean)
        self.slow_square += (1.0 - self.beta2) * (x * x - self.slow_square)
        fast, slow = 1.0 - self.beta1**self.steps, 1.0 - self.beta2**self.steps
        variance = max(0.0, self.slow_square / slow - (self.slow_mean / slow) ** 2)
        cutoff = self.mean / fast + self.overflow_std_dev * math.sqrt(variance)
        # the exponent is bounded first: 2.0 ** 2000 raises
        self.scale = self._in_range(2.0 ** min(max(LARGEST_EXPONENT - cutoff, -1000.0), 1000.0))

    def state_dict(self) -> dict[str, Any]:
        numbers = {"steps": self.steps, "mean": self.mean}
        return {**super().state_dict(), **numbers, "slow_mean": self.slow_mean, "slow_square": self.slow_square}
