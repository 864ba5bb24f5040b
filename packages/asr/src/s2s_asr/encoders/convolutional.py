"""Two-dimensional convolutions over time and frequency, as a front of other encoders."""

from __future__ import annotations

from torch import Tensor, nn

from s2s_asr.encoder_streams import window_of
from s2s_asr.encoders.conv2d import Conv2dSpec, ConvLayer, time_reach
from s2s_asr.interfaces import Encoder, EncoderStream
from s2s_core.nn.dropout import Dropout
from s2s_core.nn.frames import frame_layout


class Conv2dEncoder(Encoder):
    """Convolutions that slide along both axes of a spectrogram, each with batch norm and a rectifier.

    A filter that slides along frequency meets a formant where another speaker has it: with few speakers to learn from
    that is worth more than width. The first layers of DeepSpeech2 (Amodei et al. 2015, section 3.5) as an encoder of
    their own, to stand in a `StackedEncoder` before any other. ``lengths`` become ``ceil(length / stride)`` for each
    layer's stride in time, in turn; padding takes no part.

    Args:
        in_features: features of an input frame.
        layers: the convolutions, with kernels and strides as ``(time, feature)``.
        dropout: drop probability of what comes out.
        norm_momentum: the weight of a batch in batch norm's running statistics.

    Raises:
        ValueError: if there are no layers.
    """

    def __init__(
        self, in_features: int, layers: list[Conv2dSpec], dropout: float = 0.0, norm_momentum: float = 0.1
    ) -> None:
        super().__init__()
        if not layers:
            raise ValueError("layers must hold at least one convolution")
        self.in_features = in_features
        self.strides = [spec.stride[0] for spec in layers]
        channels, features = 1, in_features
        self.layers = nn.ModuleList()
        for spec in layers:
            self.layers.append(ConvLayer(channels, spec, norm_momentum, None))
            channels, features = spec.out_channels, -(-features // spec.stride[1])
        self.out_features = channels * features
        self.dropout = Dropout(dropout)

    @classmethod
    def examples(cls) -> list[Conv2dEncoder]:
        """Small ones for the contract tests."""
        return [cls(6, [Conv2dSpec(3, (5, 3), (2, 2)), Conv2dSpec(4, (3, 3), (3, 1))]), cls(5, [Conv2dSpec(2, (3, 3))])]

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        layout = frame_layout(lengths, features.size(1))
        x = layout.enter(features)
        for layer in self.layers:
            x, layout = layer(x, layout)
        return layout.leave(self.dropout(x)), self.output_lengths(lengths)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        for stride in self.strides:
            lengths = (lengths + stride - 1) // stride
        return lengths

    def stream(self) -> EncoderStream:
        """Over windows of what a filter sees in time."""
        reach, stride = time_reach(self.layers)
        return window_of(self, reach, reach, stride)
