"""A little future for a unidirectional recogniser."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RowConvolution(nn.Module):
    """Each feature becomes a weighted sum of itself now and in the next ``width - 1`` frames.

    Lookahead convolution of Amodei et al. 2015 (DeepSpeech2), section 3.7.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"a row convolution's width must be positive, not {width}")
        self.width = width
        self.weight = nn.Parameter(torch.empty(width, features))
        nn.init.uniform_(self.weight, -1 / math.sqrt(width), 1 / math.sqrt(width))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, time, features)``, zero after each row's end, to the same shape; undefined after the end."""
        ahead = F.pad(x, (0, 0, 0, self.width - 1))
        # shifted sums beat a depthwise convolution on both CPU and GPU
        total = x * self.weight[0]
        for shift in range(1, self.width):
            total = torch.addcmul(total, ahead[:, shift : shift + x.size(1)], self.weight[shift])
        return total
