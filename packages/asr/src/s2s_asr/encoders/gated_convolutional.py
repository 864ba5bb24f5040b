"""Gated convolutions with weight normalisation: Wav2Letter's acoustic model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from s2s_asr.encoder_streams import window_of
from s2s_asr.interfaces import Encoder, EncoderStream
from s2s_core.nn.conv import Conv
from s2s_core.nn.dropout import dropout
from s2s_core.nn.frames import FrameLayout, frame_layout


@dataclass
class GatedConv:
    """One convolution, its gate, and its dropout."""

    channels: int
    """That come out of the gate; the convolution has twice as many."""
    kernel: int
    """Taps; odd."""
    stride: int = 1
    dropout: float = 0.0
    """Drop probability after the gate."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is a drop probability in [0, 1), got {self.dropout}")


class GatedConvEncoder(Encoder):
    """Convolutions along time, ``a * sigmoid(b)`` of the halves of each (Liptchinsky et al. 2017,
    https://arxiv.org/abs/1712.09444, section 2.2; gated linear units: Dauphin et al. 2017), with weight normalisation
    (Salimans and Kingma 2016) and no other norm.

    Each length is ``ceil(length / stride)`` for each layer's stride in turn. Padding takes no part.

    Args:
        in_features: features of an input frame.
        layers: the convolutions. A kernel of 1 at the end is the paper's fully connected layer.

    Raises:
        ValueError: if there are no layers, a kernel is even, or a dropout no probability.
    """

    def __init__(self, in_features: int, layers: list[GatedConv]) -> None:
        super().__init__()
        if not layers:
            raise ValueError("layers must hold at least one convolution")
        self.in_features, self.out_features = in_features, layers[-1].channels
        self.specs = layers
        sizes = [in_features, *(layer.channels for layer in layers)]
        self.layers = nn.ModuleList(
            weight_norm(Conv(size, 2 * spec.channels, spec.kernel, spec.stride), dim=0)
            for size, spec in zip(sizes, layers, strict=False)
        )

    @classmethod
    def examples(cls) -> list[GatedConvEncoder]:
        """Small ones for the contract tests."""
        return [cls(5, [GatedConv(6, 5, stride=2), GatedConv(4, 3), GatedConv(7, 1)])]

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        layout: FrameLayout = frame_layout(lengths, features.shape[1])
        x = layout.enter(features)
        for layer, spec in zip(self.layers, self.specs, strict=True):
            x = layer(x, layout)
            layout = layout.strided(spec.stride)
            x = layout.clean(dropout(F.glu(x, dim=-1), spec.dropout, self.training))
        return layout.leave(x), self.output_lengths(lengths)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """``ceil(length / stride)`` for each layer's stride in turn."""
        for spec in self.specs:
            lengths = (lengths + spec.stride - 1) // spec.stride
        return lengths

    def stream(self) -> EncoderStream:
        """Over windows of the receptive field."""
        reach, stride = 0, 1
        for spec in self.specs:
            reach += spec.kernel // 2 * stride
            stride *= spec.stride
        return window_of(self, reach, reach, stride)
