"""Conformer (Gulati et al. 2020, https://arxiv.org/abs/2005.08100)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_asr.encoders.conv2d import Conv2dSpec
from s2s_asr.encoders.convolutional import Conv2dEncoder
from s2s_asr.interfaces import Encoder
from s2s_core.nn.attention_rectangles import visible
from s2s_core.nn.conv import DepthwiseConv
from s2s_core.nn.dropout import Dropout
from s2s_core.nn.frames import FrameLayout, frame_layout
from s2s_core.nn.linear import Linear
from s2s_core.nn.norm import LayerNorm, NormName, build_norm
from s2s_core.nn.positions import sinusoids
from s2s_core.nn.relative_attention import RelativeAttention

EPS = 1e-5


class ConformerEncoder(Encoder):
    """Convolutions that shorten the input to a quarter, then blocks of attention and convolution (section 2).

    What is padding takes no part: it is zero before every convolution, hidden from attention and not counted by batch
    norm, in evaluation and in training. (torchaudio's Conformer lets its convolutions read the padding.)

    The first convolutions have batch norm, which the paper does not mention: `Conv2dEncoder`. Its convolutions of 32
    taps are of 31 here, so that they have a middle. Attention's projections have biases.

    Args:
        in_features: features of an input frame.
        size: of an encoding; a multiple of ``heads``, and even.
        layers: blocks.
        heads: of attention.
        kernel: taps of a block's convolution; odd.
        expansion: of the feed-forward layers.
        dropout: drop probability wherever the paper has one: of what each module adds, within feed-forward layers, of
            attention weights and after the first convolutions.
        norm: in the convolution module: ``batch`` (the paper's), or ``layer`` or ``group``, which need no batch.
        subsampling: the first convolutions; if not given, two of 3 x 3 and stride 2 with ``size`` channels.

    Raises:
        ValueError: if there are no layers, or sizes do not divide.
    """

    def __init__(
        self,
        in_features: int,
        size: int = 144,
        layers: int = 16,
        heads: int = 4,
        kernel: int = 31,
        expansion: int = 4,
        dropout: float = 0.1,
        norm: NormName = "batch",
        subsampling: list[Conv2dSpec] | None = None,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}")
        if size % 2 or size < 4:
            raise ValueError(f"size must be even and 4 at least, got {size}")
        self.in_features, self.out_features = in_features, size
        fronts = subsampling or [Conv2dSpec(size, (3, 3), (2, 2)), Conv2dSpec(size, (3, 3), (2, 2))]
        self.subsampling = Conv2dEncoder(in_features, fronts)
        self.project = Linear(self.subsampling.out_features, size)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            ConformerBlock(size, heads, kernel, expansion, dropout, norm) for _ in range(layers)
        )

    @classmethod
    def examples(cls) -> list[ConformerEncoder]:
        """Small ones for the contract tests."""
        narrow = [Conv2dSpec(3, (5, 3), (2, 2)), Conv2dSpec(4, (3, 3), (1, 2))]
        return [
            cls(6, 8, 2, 2, kernel=5, dropout=0.0),
            cls(6, 8, 1, 2, kernel=3, dropout=0.0, norm="layer", subsampling=narrow),
            cls(6, 8, 1, 1, kernel=3, dropout=0.0, norm="group", subsampling=narrow),
        ]

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = self.subsampling(features, lengths)
        time = x.shape[1]
        layout = frame_layout(lengths, time)
        x = self.dropout(self.project(layout.enter(x)))
        seen = visible(layout.real_frames(x.device)[..., 0])
        distances = sinusoids(torch.arange(time - 1, -time, -1, device=x.device), self.out_features).to(x.dtype)
        for block in self.blocks:
            x = block(x, layout, distances, seen)
        return layout.leave(x), lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """``ceil(length / stride)`` for each of the first convolutions in turn."""
        return self.subsampling.output_lengths(lengths)


class ConformerBlock(nn.Module):
    """Half a feed-forward layer, attention, convolution, the other half, norm (section 2.4)."""

    def __init__(self, size: int, heads: int, kernel: int, expansion: int, dropout: float, norm: NormName) -> None:
        super().__init__()
        self.before = FeedForward(size, expansion, dropout)
        self.attention_norm = LayerNorm(size, EPS)
        self.attention = RelativeAttention(size, heads, dropout, bias=True)
        self.convolution = ConvolutionModule(size, kernel, dropout, norm)
        self.after = FeedForward(size, expansion, dropout)
        self.norm = LayerNorm(size, EPS)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, layout: FrameLayout, distances: Tensor, seen: Tensor) -> Tensor:
        """``x`` lies in ``layout``; ``distances`` and ``seen`` are what `RelativeAttention` takes."""
        x = x + 0.5 * self.before(x, layout)
        attended = self.attention(layout.leave(self.attention_norm(x, layout)), None, distances, seen)
        x = x + self.dropout(layout.enter(attended))
        x = x + self.convolution(x, layout)
        return self.norm(x + 0.5 * self.after(x, layout), layout)


class FeedForward(nn.Module):
    """Norm, linear, swish, dropout, linear, dropout (section 2.3)."""

    def __init__(self, size: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.norm = LayerNorm(size, EPS)
        self.widen, self.narrow = Linear(size, expansion * size), Linear(expansion * size, size)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """Each frame for itself."""
        return self.dropout(self.narrow(self.dropout(F.silu(self.widen(self.norm(x, layout))))))


class ConvolutionModule(nn.Module):
    """Norm, pointwise convolution with a gate, depthwise convolution, norm, swish, pointwise, dropout (section 2.2)."""

    def __init__(self, size: int, kernel: int, dropout: float, norm: NormName) -> None:
        super().__init__()
        self.norm = LayerNorm(size, EPS)
        self.gated = Linear(size, 2 * size, blocks=2)
        self.depthwise = DepthwiseConv(size, kernel)
        self.inner_norm = build_norm(norm, size, eps=EPS)
        self.pointwise = Linear(size, size)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        """Frames in ``layout``; the convolution sees zeros around each sequence."""
        x = layout.clean(F.glu(self.gated(self.norm(x, layout)), dim=-1))
        x = self.inner_norm(self.depthwise(x, layout), layout)
        return self.dropout(self.pointwise(F.silu(x)))
