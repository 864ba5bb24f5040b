"""Time-delay networks of 1-D convolutions: what Wav2Letter+, Jasper, QuartzNet and MatchboxNet are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.conv import Conv, DepthwiseConv
from s2s_core.nn.dropout import dropout, relu_dropout
from s2s_core.nn.frames import FrameLayout, frame_layout
from s2s_core.nn.norm import NormName, build_norm

Activation = Literal["relu", "clipped_relu"]


@dataclass
class TdnnBlock:
    """``repeat`` times convolution, norm, activation, dropout; and what is added before the last activation.

    Raises:
        ValueError: if a residual block has a stride, or a value is out of range.
    """

    channels: int
    kernel: int
    """Taps; odd."""
    repeat: int = 1
    stride: int = 1
    """Of the first convolution."""
    dilation: int = 1
    dropout: float = 0.0
    """Drop probability after each activation."""
    residual: bool | Literal["dense"] = False
    """True adds the block's input, through a 1x1 convolution and norm, before the last activation. ``"dense"`` adds the
    inputs of all dense blocks so far, each through a 1x1 convolution and norm of its own (Jasper, section 2)."""
    separable: bool = False
    """Depthwise, then pointwise convolution (QuartzNet); as in OpenSeq2Seq with no norm between the two."""

    def __post_init__(self) -> None:
        if self.residual and self.stride != 1:
            raise ValueError(f"a residual block cannot have stride {self.stride}: its input is longer than its output")
        if self.residual not in (True, False, "dense"):
            raise ValueError(f"residual must be true, false or 'dense', got {self.residual!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is a drop probability in [0, 1), got {self.dropout}")
        if self.repeat < 1:
            raise ValueError(f"repeat must be positive, got {self.repeat}")


class Tdnn(nn.Module):
    """Blocks of convolutions along time, over sequences of their own lengths.

    Frames past a sequence's end are zero before every convolution and left out of the batch-norm statistics: a
    sequence's result does not depend on its batch-mates or padding. Convolutions have a bias only without norm. Padding
    is symmetric.

    Args:
        in_features: size of a feature frame.
        blocks: the blocks, first to last.
        norm: after each convolution and each residual's 1x1 convolution.
        norm_momentum: share of the new value in batch norm's running statistics.
        activation: ``clipped_relu`` is ``min(max(x, 0), 20)``.
        drop_block_prob: probability, in training, that a residual block gives its residual alone (BlockOut).
        drop_block_index: index in ``blocks`` of a residual block that, in evaluation, gives its residual alone.

    Raises:
        ValueError: if there are no blocks, an index names no residual block, or a value is out of range.
    """

    def __init__(
        self,
        in_features: int,
        blocks: list[TdnnBlock],
        norm: NormName = "batch",
        norm_momentum: float = 0.1,
        activation: Activation = "relu",
        drop_block_prob: float = 0.0,
        drop_block_index: int | None = None,
    ) -> None:
        super().__init__()
        _check(blocks, activation, drop_block_prob, drop_block_index)
        self.in_features = in_features
        self.out_features = blocks[-1].channels
        self.norm: NormName = norm
        self.drop_block_prob = drop_block_prob
        self.drop_block_index = drop_block_index
        self.blocks = nn.ModuleList()
        dense_sizes: list[int] = []
        size = in_features
        for block in blocks:
            if block.residual == "dense":
                dense_sizes.append(size)
            inputs = list(dense_sizes) if block.residual == "dense" else [size] if block.residual else []
            self.blocks.append(_Block(size, block, inputs, norm, norm_momentum, activation))
            size = block.channels

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode ``(batch, time, in_features)``: ``(batch, ceil(time / stride), out_features)`` and lengths."""
        layout = frame_layout(lengths, features.shape[1])
        x = layout.enter(features)
        dense: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            assert isinstance(block, _Block)
            if block.spec.residual == "dense":
                dense.append(x)
            inputs = dense if block.spec.residual == "dense" else [x] if block.spec.residual else []
            x, layout = block(x, inputs, layout, drop=self._dropped(index, block))
        return layout.leave(x), self.output_lengths(lengths)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """``ceil(length / stride)`` for each block's stride in turn."""
        for block in self.blocks:
            assert isinstance(block, _Block)
            lengths = (lengths + block.spec.stride - 1) // block.spec.stride
        return lengths

    @property
    def stride(self) -> int:
        """Feature frames from one encoding to the next."""
        return math.prod(block.spec.stride for block in self.blocks)  # type: ignore[union-attr]

    @property
    def receptive_field(self) -> int:
        """The number of feature frames that one encoding sees, itself in the middle."""
        frames, step = 1, 1
        for block in self.blocks:
            assert isinstance(block, _Block)
            spec = block.spec
            for repeat in range(spec.repeat):
                frames += (spec.kernel - 1) * spec.dilation * step
                step *= spec.stride if repeat == 0 else 1
        return frames

    def _dropped(self, index: int, block: _Block) -> bool:
        if not block.spec.residual:
            return False
        if not self.training:
            return index == self.drop_block_index
        return self.drop_block_prob > 0 and float(torch.rand(())) < self.drop_block_prob


class _Block(nn.Module):
    def __init__(
        self,
        size: int,
        spec: TdnnBlock,
        residual_sizes: list[int],
        norm: NormName,
        momentum: float,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.activation: Activation = activation
        sizes = [size] + [spec.channels] * (spec.repeat - 1)
        strides = [spec.stride] + [1] * (spec.repeat - 1)
        self.layers = nn.ModuleList(
            _Layer(a, spec.channels, spec, stride, norm, momentum) for a, stride in zip(sizes, strides, strict=True)
        )
        plain = TdnnBlock(spec.channels, kernel=1)
        self.residuals = nn.ModuleList(_Layer(a, spec.channels, plain, 1, norm, momentum) for a in residual_sizes)

    def forward(
        self, x: Tensor, residual_inputs: list[Tensor], layout: FrameLayout, drop: bool
    ) -> tuple[Tensor, FrameLayout]:
        # only a residual block is dropped, and its stride is 1
        after = layout.strided(self.spec.stride)
        total = self._untaken() if drop else self._main(x, layout, after)
        for residual, y in zip(self.residuals, residual_inputs, strict=True):
            total = total + residual(y, after)
        return self._activate(total, after), after

    def _main(self, x: Tensor, layout: FrameLayout, after: FrameLayout) -> Tensor:
        x = self.layers[0](x, layout)
        for layer in list(self.layers)[1:]:
            x = layer(self._activate(x, after), after)
        return x

    def _untaken(self) -> Tensor:
        # a zero that touches every parameter: their gradients are zero, not missing, which data-parallel training
        # would wait for where other ranks keep the block
        return torch.stack([p.flatten()[0] for p in self.layers.parameters()]).sum() * 0.0

    def _activate(self, x: Tensor, layout: FrameLayout) -> Tensor:
        if self.activation == "relu":
            return layout.clean(relu_dropout(x, self.spec.dropout, self.training))
        return layout.clean(dropout(F.hardtanh(x, 0.0, 20.0), self.spec.dropout, self.training))


class _Layer(nn.Module):
    """A convolution and its norm."""

    def __init__(
        self, in_channels: int, out_channels: int, spec: TdnnBlock, stride: int, norm: NormName, momentum: float
    ) -> None:
        super().__init__()
        bias = norm == "none"
        if spec.separable:
            self.depthwise = DepthwiseConv(in_channels, spec.kernel, stride, spec.dilation)
            self.conv = Conv(in_channels, out_channels, 1, bias=bias)
        else:
            self.depthwise = None
            self.conv = Conv(in_channels, out_channels, spec.kernel, stride, spec.dilation, bias=bias)
        self.norm = build_norm(norm, out_channels, momentum)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        if self.depthwise is not None:
            x = self.depthwise(x, layout)
            layout = layout.strided(self.depthwise.stride)
        x = self.conv(x, layout)
        return self.norm(x, layout.strided(self.conv.stride))


def _check(blocks: list[TdnnBlock], activation: str, drop_block_prob: float, drop_block_index: int | None) -> None:
    if not blocks:
        raise ValueError("blocks must not be empty")
    if activation not in ("relu", "clipped_relu"):
        raise ValueError(f"activation must be 'relu' or 'clipped_relu', got {activation!r}")
    if not 0 <= drop_block_prob <= 1:
        raise ValueError(f"drop_block_prob must be in [0, 1], got {drop_block_prob}")
    if drop_block_index is not None and not (0 <= drop_block_index < len(blocks) and blocks[drop_block_index].residual):
        raise ValueError(f"drop_block_index must name a residual block, got {drop_block_index}")
    dense = [i for i, block in enumerate(blocks) if block.residual == "dense"]
    if dense and any(block.stride > 1 for block in blocks[dense[0] : dense[-1]]):
        raise ValueError("no block between dense ones may have a stride: the last adds what the first was given")
