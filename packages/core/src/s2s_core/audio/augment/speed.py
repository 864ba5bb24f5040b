"""Faster and slower speech."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torchaudio.transforms import Resample

from s2s_core.audio.augment.augment import WaveAugment
from s2s_core.nn.mask import length_mask


class SpeedPerturb(WaveAugment):
    """Plays each utterance faster or slower, which changes tempo and pitch together (Ko et al., Interspeech 2015).

    A factor of 1.1 makes an utterance 1.1 times shorter and higher. OpenSeq2Seq's ``speed_perturbation_ratio`` is the
    reciprocal; its lists are nearly symmetric, so it matters little. Transcripts stay.

    Args:
        factors: one is drawn for each utterance, evenly. Kept to two decimals.
        max_change: instead of ``factors``, those of 1 ± ``max_change`` in steps of one hundredth (OpenSeq2Seq's single
            number, there without steps).

    Raises:
        ValueError: unless exactly one of the two is given, or if a factor is not above 0.
    """

    def __init__(self, factors: list[float] | None = None, max_change: float | None = None) -> None:
        if factors is not None and max_change is not None:
            raise ValueError(f"factors ({factors}) and max_change ({max_change}) exclude each other")
        if max_change is not None:
            steps = round(100 * max_change)
            factors = [1 + step / 100 for step in range(-steps, steps + 1)]
        self.factors = [0.9, 1.0, 1.1] if factors is None else list(factors)
        if not self.factors or min(self.factors) < 0.01:
            raise ValueError(f"speed factors must be above 0, got {self.factors}")
        self._ratios = [Fraction(round(100 * factor), 100) for factor in self.factors]
        self._resamplers: dict[tuple[Fraction, torch.device], Resample] = {}

    def __call__(self, audio: Tensor, audio_lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        drawn = torch.randint(len(self._ratios), (len(audio),), generator=generator)
        ratios = [self._ratios[i] for i in drawn.tolist()]
        numerators, denominators = (
            torch.tensor(parts, device=audio.device)
            for parts in ([r.numerator for r in ratios], [r.denominator for r in ratios])
        )
        lengths = torch.div(audio_lengths * denominators + numerators - 1, numerators, rounding_mode="floor")
        width = max(_shortened(audio.size(1), ratio) for ratio in ratios)
        if audio.device.type == "cpu":
            width = int(lengths.max())  # elsewhere this would wait for the device; then a slow row leaves padding
        changed = audio.new_zeros(len(audio), width)
        for which in range(len(self._ratios)):
            rows = torch.nonzero(drawn == which)[:, 0].to(audio.device)
            if len(rows) > 0:
                faster = self._resample(audio[rows], self._ratios[which])[:, :width]
                changed[rows] = F.pad(faster, (0, width - faster.size(1)))
        return changed.masked_fill(~length_mask(lengths, width), 0.0), lengths

    def _resample(self, audio: Tensor, ratio: Fraction) -> Tensor:
        if ratio == 1:
            return audio
        key = (ratio, audio.device)
        if key not in self._resamplers:
            self._resamplers[key] = Resample(ratio.numerator, ratio.denominator).to(audio.device)
        return self._resamplers[key](audio)


def _shortened(samples: int, ratio: Fraction) -> int:
    return -(-samples * ratio.denominator // ratio.numerator)
