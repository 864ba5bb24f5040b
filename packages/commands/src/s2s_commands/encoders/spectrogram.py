"""Spectrograms as pictures: any network for images becomes one for sounds."""

from __future__ import annotations

from torch import Tensor

from s2s_commands.encoders.pooling import in_the_middle
from s2s_commands.interfaces import ImageEncoder, SoundEncoder


class SpectrogramEncoder(SoundEncoder):
    """Lays the features of a clip in the middle of a picture of ``frames`` by ``in_features`` and encodes that.

    Time runs down and frequency across, as in OpenSeq2Seq, whose pictures were 120 by 120. There a longer clip was cut
    at a random place, in evaluation too; here its middle stays (`RandomCrop` cuts at random in training).

    Args:
        in_features: size of a feature frame: the picture's width.
        image_encoder: for pictures of one channel.
        frames: the picture's height.

    Raises:
        ValueError: if the image encoder takes several channels, or a size is not positive.
    """

    def __init__(self, in_features: int, image_encoder: ImageEncoder, frames: int = 120) -> None:
        super().__init__()
        if image_encoder.in_channels != 1:
            raise ValueError(f"a spectrogram has one channel, image_encoder.in_channels is {image_encoder.in_channels}")
        if in_features < 1 or frames < 1:
            raise ValueError(f"in_features and frames must be positive, got {in_features} and {frames}")
        self.in_features = in_features
        self.out_features = image_encoder.out_features
        self.frames = frames
        self.image_encoder = image_encoder

    @classmethod
    def examples(cls) -> list[SpectrogramEncoder]:
        """Small ones for the contract tests."""
        from s2s_commands.encoders.resnet import ResNetEncoder

        return [cls(16, ResNetEncoder(1, 18, version, width=4, blocks=[1, 1]), frames=24) for version in (1, 2)]

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Encode ``(batch, time, in_features)``: ``(batch, out_features)``."""
        return self.image_encoder(in_the_middle(features, lengths, self.frames)[:, None])
