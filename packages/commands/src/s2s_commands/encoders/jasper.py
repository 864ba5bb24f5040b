"""Jasper, and any other time-delay network, as a classifier's encoder."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from s2s_commands.encoders.pooling import in_the_middle, mean_over_time
from s2s_commands.interfaces import SoundEncoder
from s2s_core.nn.norm import NormName
from s2s_core.nn.tdnn import Activation, Tdnn, TdnnBlock


class JasperEncoder(SoundEncoder):
    """Convolutions along time (Li et al. 2019), then one vector for the whole clip.

    OpenSeq2Seq's commands network laid the spectrogram in the middle of 128 frames first and handed all 16 frames of
    the last layer to the classifier: ``frames=128, pooling="flatten"``. Its 2-D convolutions of height 1 over one
    column are these 1-D ones. With ``frames=None`` a clip is encoded as long as it is; then only the mean is possible,
    and neither padding nor batch-mates matter. With ``frames`` given they do not either.

    Args:
        in_features: size of a feature frame.
        blocks: see `TdnnBlock`.
        pooling: ``mean`` over the real frames, or ``flatten``: all frames side by side.
        frames: every clip is laid in the middle of so many feature frames, longer ones are cut.
        norm, activation: see `Tdnn`.

    Raises:
        ValueError: for ``flatten`` without ``frames``, or as `Tdnn` says.
    """

    def __init__(
        self,
        in_features: int,
        blocks: list[TdnnBlock],
        pooling: Literal["mean", "flatten"] = "mean",
        frames: int | None = None,
        norm: NormName = "batch",
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "flatten"):
            raise ValueError(f"pooling must be 'mean' or 'flatten', got {pooling!r}")
        if pooling == "flatten" and frames is None:
            raise ValueError("pooling is 'flatten', which needs a fixed number of frames, got frames=None")
        if frames is not None and frames < 1:
            raise ValueError(f"frames must be at least 1, got {frames}")
        self.in_features = in_features
        self.pooling = pooling
        self.frames = frames
        self.network = Tdnn(in_features, blocks, norm, activation=activation)
        left = frames or 1
        for block in blocks:
            left = -(-left // block.stride)
        self.out_features = blocks[-1].channels * (left if pooling == "flatten" else 1)

    @classmethod
    def examples(cls) -> list[JasperEncoder]:
        """Small ones for the contract tests."""
        blocks = [TdnnBlock(6, 5, stride=2), TdnnBlock(8, 3, repeat=2, residual=True), TdnnBlock(7, 3, stride=2)]
        return [cls(4, blocks), cls(4, blocks, "flatten", 24), cls(4, blocks, "mean", 24, "layer")]

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Encode ``(batch, time, in_features)``: ``(batch, out_features)``."""
        if self.frames is not None:
            features = in_the_middle(features, lengths, self.frames)
            # the zeros around a clip are part of the picture, as in the original
            lengths = lengths.new_full(lengths.shape, self.frames)
        x, lengths = self.network(features, lengths)
        return x.flatten(1) if self.pooling == "flatten" else mean_over_time(x, lengths)
