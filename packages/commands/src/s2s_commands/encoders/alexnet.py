"""AlexNet (Krizhevsky et al. 2012) in the form of "one weird trick" (Krizhevsky 2014, arXiv 1404.5997)."""

from __future__ import annotations

from s2s_commands.encoders.cnn import CnnEncoder, ConvLayer, DenseLayer, PoolLayer


class AlexNetEncoder(CnnEncoder):
    """Five convolutions and two fully connected layers with dropout behind them, as OpenSeq2Seq's ``alexnet_owt``.

    The first convolution has no padding, so that 227 pixels become 55, 27, 13 and 6. torchvision's AlexNet pads it,
    sees 224 pixels and has its dropout in front of the fully connected layers; weights of convolutions fit both.

    Args:
        in_channels: of the images.
        image_size: height and width of the images, pixels; at least 67.
        dropout: drop probability behind both fully connected layers.

    Raises:
        ValueError: if nothing is left of the images behind the pooling.
    """

    def __init__(self, in_channels: int = 3, image_size: int = 227, dropout: float = 0.5) -> None:
        pool = PoolLayer("max", 3, 2)
        super().__init__(
            [
                ConvLayer(64, 11, 4, 0),
                pool,
                ConvLayer(192, 5),
                pool,
                ConvLayer(384),
                ConvLayer(256),
                ConvLayer(256),
                pool,
            ],
            [DenseLayer(4096, dropout), DenseLayer(4096, dropout)],
            in_channels,
            image_size,
        )

    @classmethod
    def examples(cls) -> list[AlexNetEncoder]:  # type: ignore[override]
        """One as small as it gets, for the contract tests."""
        return [cls(1, 67, 0.0)]
