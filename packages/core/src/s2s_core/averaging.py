"""Averages of the weights along training."""

from __future__ import annotations

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class WarmEma(WeightAveraging):
    """Exponential moving average of weights and buffers, short at first and longer as training goes on.

    After n steps the average keeps ``min(decay, (1 + n) / (10 + n))`` of itself, so that the initial weights are soon
    forgotten and a run of a few thousand steps gains as well; Lightning's ``EMAWeightAveraging`` keeps ``decay`` from
    the first step. Validation and the saved weights are the average; the checkpoint holds both.

    Args:
        decay: what is kept at the end; 0.999 averages over about the last thousand steps.

    Raises:
        ValueError: if ``decay`` is not in [0, 1).
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.decay = decay
        super().__init__(use_buffers=True, multi_avg_fn=self._average)

    @torch.no_grad()
    def _average(self, averages: list[Tensor], current: list[Tensor], num_averaged: Tensor | int) -> None:
        if not averages[0].is_floating_point():
            for average, value in zip(averages, current, strict=True):
                average.copy_(value)
            return
        # the step count of the callback is a Python number: reading num_averaged would wait for the device
        steps = self._latest_update_step
        weight = 1 - min(self.decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(averages, current, weight)  # pyright: ignore[reportPrivateImportUsage]
