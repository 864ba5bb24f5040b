"""DeepSpeech2: two-dimensional convolutions, recurrent layers, and a fully connected one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2s_asr.encoder_streams import ChainStream, RecurrentStream, WindowStream
from s2s_asr.encoders.conv2d import Conv2dSpec, ConvLayer, rectify, time_reach
from s2s_asr.encoders.row_convolution import RowConvolution
from s2s_asr.interfaces import Encoder, EncoderStream
from s2s_core.nn.dropout import Dropout
from s2s_core.nn.frames import FrameLayout, frame_layout
from s2s_core.nn.norm import BatchNorm
from s2s_core.nn.rnn import Recurrent, RnnType


class DeepSpeech2Encoder(Encoder):
    """Amodei et al. 2015, "Deep Speech 2: End-to-End Speech Recognition in English and Mandarin".

    Convolutions over time and feature with batch norm and rectifier; GRU or LSTM layers, one- or bidirectional;
    optionally a row convolution (section 3.7) with batch norm and rectifier; a fully connected layer with rectifier
    and dropout. ``lengths`` become ``ceil(length / stride)`` for each convolution's stride in time, in turn.

    Like OpenSeq2Seq and unlike the paper, there is no batch norm inside the recurrent layers, and convolutions have
    no bias. Unlike OpenSeq2Seq, padding takes no part: convolutions see zeros after an utterance's end, batch norm
    counts real frames only, and the backward direction begins at the utterance's own end. There an utterance's
    transcript depended on its batch (issue #69), and WER was reported at batch size 1. The row convolution looks
    only ahead, as in the paper.

    Args:
        in_features: features of an input frame.
        conv_layers: the convolutions; may be empty.
        rnn_type: the recurrent cell, ``gru`` or ``lstm``.
        rnn_layers: recurrent layers.
        rnn_size: the size of one direction's state.
        bidirectional: whether they run backwards too.
        row_conv_width: frames that the row convolution sees, the current one included; None for none.
        out_features: the size of the fully connected layer.
        dropout: drop probability between recurrent layers and after the fully connected layer.
        activation_clip: where rectifiers saturate (20 in the paper), None for plain ReLU.
        norm_momentum: the weight of a batch in batch norm's running statistics.

    Raises:
        ValueError: for a size that is not positive or a dropout outside [0, 1).
    """

    def __init__(
        self,
        in_features: int,
        conv_layers: list[Conv2dSpec],
        rnn_type: RnnType = "gru",
        rnn_layers: int = 5,
        rnn_size: int = 800,
        bidirectional: bool = True,
        row_conv_width: int | None = None,
        out_features: int = 1600,
        dropout: float = 0.0,
        activation_clip: float | None = None,
        norm_momentum: float = 0.01,
    ) -> None:
        super().__init__()
        _check(in_features=in_features, rnn_layers=rnn_layers, rnn_size=rnn_size, out_features=out_features)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.in_features = in_features
        self.out_features = out_features
        self.activation_clip = activation_clip
        self.strides = [spec.stride[0] for spec in conv_layers]
        channels, features = 1, in_features
        self.convs = nn.ModuleList()
        for spec in conv_layers:
            self.convs.append(ConvLayer(channels, spec, norm_momentum, activation_clip))
            channels, features = spec.out_channels, -(-features // spec.stride[1])
        self.rnn = Recurrent(rnn_type, channels * features, rnn_size, rnn_layers, bidirectional, dropout)
        self.row_conv = self.row_norm = None
        if row_conv_width is not None:
            self.row_conv = RowConvolution(self.rnn.out_features, row_conv_width)
            self.row_norm = BatchNorm(self.rnn.out_features, norm_momentum)
        self.project = nn.Linear(self.rnn.out_features, out_features)
        self.dropout = Dropout(dropout)

    @classmethod
    def examples(cls) -> list[DeepSpeech2Encoder]:
        """Small ones for the contract tests."""
        convs = [Conv2dSpec(3, (5, 3), (2, 2)), Conv2dSpec(4, (3, 3), (3, 1))]
        return [
            cls(6, convs, "gru", 2, 8, True, None, 10),
            cls(6, convs[:1], "lstm", 2, 8, True, None, 10, activation_clip=20.0),
            cls(6, convs, "gru", 1, 8, False, 4, 10),
            cls(6, [], "lstm", 2, 8, False, None, 10),
        ]

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        layout = frame_layout(lengths, features.size(1))
        x, layout = self._convolved(layout.enter(features), layout)
        lengths = self.output_lengths(lengths)
        x, _ = self.rnn(layout.leave(x), lengths)
        return layout.leave(self._above(x, layout)), lengths

    def _convolved(self, x: Tensor, layout: FrameLayout) -> tuple[Tensor, FrameLayout]:
        for conv in self.convs:
            x, layout = conv(x, layout)
        return x, layout

    def _above(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """What follows the recurrent layers: padded frames to frames in the layout."""
        if self.row_conv is not None:
            x = self.row_conv(x)
        x = layout.enter(x)
        if self.row_norm is not None:
            x = rectify(self.row_norm(x, layout), self.activation_clip)
        return self.dropout(rectify(self.project(x), self.activation_clip))

    def stream(self) -> EncoderStream | None:
        """Convolutions over windows, recurrent layers that carry their state on, and the row convolution as many frames
        late as it looks ahead; None if the recurrent layers run backwards too."""
        if self.rnn.bidirectional:
            return None
        reach, stride = time_reach(self.convs)
        ahead = 0 if self.row_conv is None else self.row_conv.width - 1
        return ChainStream(
            [
                WindowStream(lambda x: self._convolved(*_alone(x))[0], reach, reach, stride),
                RecurrentStream(self.rnn),
                WindowStream(lambda x: self._above(*_alone(x)), 0, ahead),
            ]
        )

    def output_lengths(self, lengths: Tensor) -> Tensor:
        for stride in self.strides:
            lengths = torch.div(lengths + stride - 1, stride, rounding_mode="floor")
        return lengths


def _check(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be positive, not {size}")


def _alone(x: Tensor) -> tuple[Tensor, FrameLayout]:
    """Frames ``(1, time, features)`` and their layout: one row, all of it real."""
    return x, frame_layout(torch.tensor([x.size(1)], device=x.device), x.size(1))
