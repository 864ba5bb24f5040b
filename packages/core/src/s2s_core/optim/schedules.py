"""Learning-rate policies: pure functions of the number of optimizer steps already taken."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod

from s2s_core.part import Part


class Schedule(Part, ABC):
    """The learning rate as a function of the step; it holds no state, so resuming needs only the step."""

    @abstractmethod
    def lr(self, step: int, base_lr: float, total_steps: int) -> float:
        """Return the rate of the update that follows ``step`` finished ones.

        Args:
            step: optimizer steps already taken; the first update has step 0. Skipped steps do not count.
            base_lr: the rate that the optimizer was given.
            total_steps: optimizer steps of the whole training; what ``decay_steps`` defaults to.
        """


class Fixed(Schedule):
    """``base_lr`` throughout."""

    def __init__(self) -> None:
        pass

    def lr(self, step: int, base_lr: float, total_steps: int) -> float:
        return base_lr


class Polynomial(Schedule):
    """Polynomial decay after a linear warm-up.

    ``base * s / warmup`` for ``s < warmup``; ``base`` until ``begin = max(begin_decay_at, warmup)``; then
    ``min + (base - min) * (1 - (s - begin) / decay) ** power``, and ``min`` from ``begin + decay`` on.

    Args:
        power: 1 is a straight line, 2 the recipes' usual parabola.
        min_lr: where the decay ends; an absolute rate.
        warmup_steps: 0 for none.
        decay_steps: length of the decay; the rest of the training if not given.
        begin_decay_at: first step of the decay.
    """

    def __init__(
        self,
        power: float = 1.0,
        min_lr: float = 0.0,
        warmup_steps: int = 0,
        decay_steps: int | None = None,
        begin_decay_at: int = 0,
    ) -> None:
        _check_steps(warmup_steps=warmup_steps, decay_steps=decay_steps, begin_decay_at=begin_decay_at)
        self.power, self.min_lr = power, min_lr
        self.warmup_steps, self.decay_steps, self.begin_decay_at = warmup_steps, decay_steps, begin_decay_at

    def lr(self, step: int, base_lr: float, total_steps: int) -> float:
        if step < self.warmup_steps:
            return base_lr * step / self.warmup_steps
        begin = max(self.begin_decay_at, self.warmup_steps)
        left = 1.0 - _progress(step, begin, self.decay_steps, total_steps)
        return self.min_lr + (base_lr - self.min_lr) * left**self.power


class Exponential(Schedule):
    """``max(min, base * rate ** ((s - begin) / decay))``; ``base`` before ``begin``.

    Args:
        decay_steps: steps in which the rate shrinks to ``decay_rate`` of itself.
        decay_rate: in (0, 1].
        staircase: round the exponent down, so that the rate drops every ``decay_steps`` steps.
        begin_decay_at: first step of the decay.
        min_lr: the floor; an absolute rate.
    """

    def __init__(
        self,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        begin_decay_at: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        _check_steps(decay_steps=decay_steps, begin_decay_at=begin_decay_at)
        if not 0.0 < decay_rate <= 1.0:
            raise ValueError(f"decay_rate: expected a number in (0, 1], got {decay_rate}")
        self.decay_steps, self.decay_rate, self.staircase = decay_steps, decay_rate, staircase
        self.begin_decay_at, self.min_lr = begin_decay_at, min_lr

    def lr(self, step: int, base_lr: float, total_steps: int) -> float:
        if step < self.begin_decay_at:
            return base_lr
        periods = (step - self.begin_decay_at) / self.decay_steps
        if self.staircase:
            periods = math.floor(periods)
        return max(self.min_lr, base_lr * self.decay_rate**periods)


class Piecewise(Schedule):
    """``base`` before the first boundary, ``base * decay_rates[i]`` from ``boundaries[i]`` up to the next.

    The rates multiply the initial rate, not the one before. Boundaries are optimizer steps; OpenSeq2Seq counted
    epochs where the training was given in epochs, and changed the rate one step after the boundary, not at it.

    Args:
        boundaries: increasing steps.
        decay_rates: one factor a boundary.
    """

    def __init__(self, boundaries: list[int], decay_rates: list[float]) -> None:
        if len(boundaries) != len(decay_rates):
            raise ValueError(
                f"decay_rates: expected one a boundary, got {len(decay_rates)} for {len(boundaries)} boundaries"
            )
        if any(b <= a for a, b in itertools.pairwise(boundaries)):
            raise ValueError(f"boundaries: expected increasing steps, got {boundaries}")
        self.boundaries, self.decay_rates = boundaries, decay_rates

    def lr(self, step: int, base_lr: float, total_steps: int) -> float:
        passed = sum(step >= boundary for boundary in self.boundaries)
        return base_lr * self.decay_rates[passed - 1] if passed else base_lr


class Cosine(Schedule):
    """Half a cosine wave after a linear warm-up (Loshchilov and Hutter, arXiv 1608.03983, without restarts).

    ``base * s / warmup`` for ``s < warmup``; then ``min + (base - min) * (1 + cos(pi * (s - begin) / decay)) / 2``
    with ``begin = max(begin_decay_at, warmup)``, and ``min`` from ``begin + decay`` on. Here ``min_lr`` is the rate
    at the end; OpenSeq2Seq took the setting of that name as a fraction of ``base``.

    Args:
        min_lr: where the decay ends; an absolute rate.
        warmup_steps: 0 for none.
        decay_steps: length of the decay; the rest of the training if not given.
        begin_decay_at: first step of the decay.
    """

    def __init__(
        self, min_lr: float = 0.0, warmup_steps: int = 0, decay_steps: int | None = None, begin_decay_at: int = 0
    ) -> None:
        _check_steps(warmup_steps=warmup_steps, decay_steps=decay_steps, begin_decay_at=begin_decay_at)
        self.min_lr = min_lr
        self.warmup_steps, self.decay_steps, self.begin_decay_at = warmup_steps, decay_steps, begin_decay_at

    def lr(self, step: int, base_lr: float, total_steps: int) -> float:
        if step < self.warmup_steps:
            return base_lr * step / self.warmup_steps
        begin = max(self.begin_decay_at, self.warmup_steps)
        progress = _progress(step, begin, self.decay_steps, total_steps)
        return self.min_lr + (base_lr - self.min_lr) * (1.0 + math.cos(math.pi * progress)) / 2.0


class Noam(Schedule):
    """Inverse square root after a linear warm-up (Vaswani et al., arXiv 1706.03762, section 5.3).

    ``min(max_lr, base * coefficient * d_model ** -0.5 * min((s + 1) * warmup ** -1.5, (s + 1) ** -0.5))``.

    Args:
        d_model: width of the model.
        warmup_steps: at least 1.
        max_lr: an upper bound, if any.
        coefficient: a second factor beside the optimizer's rate.
    """

    def __init__(self, d_model: int, warmup_steps: int, max_lr: float | None = None, coefficient: float = 1.0) -> None:
        if d_model < 1 or warmup_steps < 1:
            raise ValueError(f"d_model, warmup_steps: expected positive integers, got {d_model}, {warmup_steps}")
        self.d_model, self.warmup_steps, self.max_lr, self.coefficient = d_model, warmup_steps, max_lr, coefficient

    def lr(self, step: int, base_lr: float, total_steps: int) -> float:
        shape = min((step + 1) * self.warmup_steps**-1.5, (step + 1) ** -0.5)
        rate = base_lr * self.coefficient * self.d_model**-0.5 * shape
        return rate if self.max_lr is None else min(rate, self.max_lr)


class InversePolynomial(Schedule):
    """``base / (1 + scale * (s - begin)) ** power``, with the scale that ends at ``min`` after ``decay`` steps.

    ``scale = ((base / min) ** (1 / power) - 1) / decay``; ``min`` from ``begin + decay`` on. A linear warm-up
    ``base * s / warmup`` and ``base`` up to ``begin = max(begin_decay_at, warmup)`` go before; OpenSeq2Seq accepted
    those two settings and ignored them.

    Args:
        min_lr: where the decay ends; an absolute rate above 0.
        power: above 0; 0.5 is Noam's tail.
        warmup_steps: 0 for none.
        decay_steps: length of the decay; the rest of the training if not given.
        begin_decay_at: first step of the decay.
    """

    def __init__(
        self,
        min_lr: float,
        power: float = 1.0,
        warmup_steps: int = 0,
        decay_steps: int | None = None,
        begin_decay_at: int = 0,
    ) -> None:
        _check_steps(warmup_steps=warmup_steps, decay_steps=decay_steps, begin_decay_at=begin_decay_at)
        if min_lr <= 0.0 or power <= 0.0:
            raise ValueError(f"min_lr, power: expected numbers above 0, got {min_lr}, {power}")
        self.min_lr, self.power = min_lr, power
        self.warmup_steps, self.decay_steps, self.begin_decay_at = warmup_steps, decay_steps, begin_decay_at

    def lr(self, step: int, base_lr: float, total_steps: int) -> float:
        """Raises ValueError where ``base_lr`` lies below ``min_lr``."""
        if base_lr < self.min_lr:
            raise ValueError(f"min_lr: expected at most the optimizer's rate {base_lr}, got {self.min_lr}")
        if step < self.warmup_steps:
            return base_lr * step / self.warmup_steps
        begin = max(self.begin_decay_at, self.warmup_steps)
        progress = _progress(step, begin, self.decay_steps, total_steps)
        growth = (base_lr / self.min_lr) ** (1.0 / self.power) - 1.0
        return base_lr / (1.0 + growth * progress) ** self.power


def _progress(step: int, begin: int, decay_steps: int | None, total_steps: int) -> float:
    """The finished share of the decay, in [0, 1]."""
    steps = total_steps - begin if decay_steps is None else decay_steps
    if step < begin:
        return 0.0
    return min(1.0, (step - begin) / steps) if steps > 0 else 1.0


def _check_steps(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < (1 if name == "decay_steps" else 0):
            raise ValueError(f"{name}: expected a number of steps, got {count}")
