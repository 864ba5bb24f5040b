"""A keyword network small enough for devices."""

from __future__ import annotations

from torch import Tensor

from s2s_commands.encoders.pooling import mean_over_time
from s2s_commands.interfaces import SoundEncoder
from s2s_core.nn.norm import NormName
from s2s_core.nn.tdnn import Tdnn, TdnnBlock

_FIRST_KERNEL, _BLOCK_KERNEL, _DILATED_KERNEL = 11, 13, 29


class MatchboxEncoder(SoundEncoder):
    """MatchboxNet-BxRxC (Majumdar and Ginsburg 2020, arXiv:2004.08531, table 1): separable convolutions along time.

    A prologue of kernel 11, B residual blocks of R separable convolutions with C channels and kernels 13, 15, 17 ...,
    an epilogue of kernel 29 with dilation 2 and one of kernel 1, then the mean over the clip's own frames. 3x1x64 has
    77 k parameters with a head of 30 classes.

    Args:
        in_features: size of a feature frame.
        blocks: B.
        repeat: R.
        channels: C.
        outer: channels of prologue and epilogue.
        stride: of the prologue; the paper's is 1.
        dropout: drop probability behind every activation.
        norm: see `Tdnn`; ``layer`` makes a batch's rows independent in training too.

    Raises:
        ValueError: if a number is not positive.
    """

    def __init__(
        self,
        in_features: int = 64,
        blocks: int = 3,
        repeat: int = 1,
        channels: int = 64,
        outer: int = 128,
        stride: int = 1,
        dropout: float = 0.0,
        norm: NormName = "batch",
    ) -> None:
        super().__init__()
        if min(in_features, blocks, channels, outer) < 1:
            raise ValueError(f"sizes must be positive, got {(in_features, blocks, channels, outer)}")
        self.in_features = in_features
        self.out_features = outer
        prologue = TdnnBlock(outer, _FIRST_KERNEL, stride=stride, dropout=dropout, separable=True)
        middle = [
            TdnnBlock(channels, _BLOCK_KERNEL + 2 * place, repeat, dropout=dropout, residual=True, separable=True)
            for place in range(blocks)
        ]
        epilogue = [
            TdnnBlock(outer, _DILATED_KERNEL, dilation=2, dropout=dropout, separable=True),
            TdnnBlock(outer, 1, dropout=dropout),
        ]
        self.network = Tdnn(in_features, [prologue, *middle, *epilogue], norm)

    @classmethod
    def examples(cls) -> list[MatchboxEncoder]:
        """Small ones for the contract tests."""
        return [cls(4, 2, 2, 6, 8), cls(4, 1, 1, 6, 8, stride=2, norm="layer")]

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Encode ``(batch, time, in_features)``: ``(batch, outer)``."""
        return mean_over_time(*self.network(features, lengths))
