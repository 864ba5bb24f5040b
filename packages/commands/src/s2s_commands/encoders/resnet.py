"""Residual networks for images (He et al. 2015, arXiv 1512.03385, and 2016, arXiv 1603.05027)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from s2s_commands.interfaces import ImageEncoder
from s2s_core.nn.image_conv import ImageConv
from s2s_core.nn.image_norm import ImageNorm

BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
"""Blocks of each stage, by depth; from 50 on they are bottlenecks."""
BOTTLENECK_FROM = 50
EXPANSION = 4
"""Channels out of a bottleneck over those within it."""


class ResNetEncoder(ImageEncoder):
    """ResNet-18, 34, 50, 101 and 152, of both versions, and narrower or shorter ones: image to averaged features.

    Version 1 is the network of 1512.03385 table 1 with the stride of a bottleneck on its 3x3 convolution instead of
    its first 1x1 ("v1.5": torchvision's, and OpenSeq2Seq's). Its weights have torchvision's names, so that
    ``load_state_dict(torchvision_resnet.state_dict(), strict=False)`` takes them over. Version 2 normalises and
    activates before each convolution (1603.05027 figure 4e), has no norm behind the stem and one behind the last block.
    Batch-norm epsilon is 1e-5, and running averages keep 0.9 a step, as torchvision's.

    Works in channels-last memory.

    Args:
        in_channels: of the images.
        depth: how many layers have weights.
        version: 1 or 2.
        small_images: for images of 32 or 64 pixels: a stem of one 3x3 convolution with stride 1, instead of a 7x7 one
            with stride 2 and max pooling.
        width: channels of the first stage's 3x3 convolutions; each stage has twice those of the one before.
        blocks: blocks a stage, instead of those of the depth; as many stages as there are numbers.
        zero_init_residual: start every block as the identity (Goyal et al. 2017, arXiv 1706.02677, section 5.1): the
            last batch-norm weight of each block is zero, or in version 2 the last convolution.

    Raises:
        ValueError: if the depth or version is none of the above, or there are no blocks in a stage.
    """

    def __init__(
        self,
        in_channels: int = 3,
        depth: Literal[18, 34, 50, 101, 152] = 50,
        version: Literal[1, 2] = 1,
        small_images: bool = False,
        width: int = 64,
        blocks: list[int] | None = None,
        zero_init_residual: bool = True,
    ) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"depth must be one of {', '.join(map(str, BLOCKS))}, got {depth}")
        if version not in (1, 2):
            raise ValueError(f"version must be 1 or 2, got {version}")
        counts = BLOCKS[depth] if blocks is None else blocks
        if not counts or min(counts) < 1:
            raise ValueError(f"blocks: expected at least one a stage, got {counts}")
        self.in_channels = in_channels
        expansion = EXPANSION if depth >= BOTTLENECK_FROM else 1
        kind = (Bottleneck if expansion > 1 else BasicBlock) if version == 1 else PreActivation
        self.out_features = width * 2 ** (len(counts) - 1) * expansion
        self.conv1 = _conv(in_channels, width, 3 if small_images else 7, stride=1 if small_images else 2)
        self.bn1 = ImageNorm(width if version == 1 else self.out_features)
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, 2, 1)
        self.version = version
        self._stages: list[str] = []
        channels = width
        for number, count in enumerate(counts):
            inner = width * 2**number
            stage = nn.Sequential()
            for place in range(count):
                stride = 2 if number > 0 and place == 0 else 1
                stage.append(kind(channels, inner, inner * expansion, stride))
                channels = inner * expansion
            self._stages.append(f"layer{number + 1}")
            self.add_module(self._stages[-1], stage)
        _initialise(self, zero_init_residual)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @classmethod
    def examples(cls) -> list[ResNetEncoder]:
        """Small ones for the contract tests."""
        return [
            cls(depth=18, width=4, blocks=[1, 2], zero_init_residual=False),
            cls(in_channels=1, depth=50, width=4, blocks=[2, 1], zero_init_residual=False),
            cls(depth=18, version=2, small_images=True, width=4, blocks=[1, 1, 1], zero_init_residual=False),
            cls(depth=50, version=2, width=4, blocks=[1, 2], zero_init_residual=False),
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Encode ``(batch, in_channels, height, width)``: ``(batch, out_features)``, averages over the last map."""
        x = self.conv1(images.contiguous(memory_format=torch.channels_last))
        if self.version == 1:
            x = self.bn1(x)
        x = self.maxpool(x)
        for stage in self._stages:
            x = self.get_submodule(stage)(x)
        if self.version == 2:
            x = self.bn1(x)
        return x.mean((2, 3))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (1512.03385 figure 5 left)."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(in_channels, inner, 3, stride), ImageNorm(inner)
        self.conv2, self.bn2 = _conv(inner, out_channels, 3), ImageNorm(out_channels)
        self.downsample = _projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x))
        return self.bn2(self.conv2(y), x if self.downsample is None else self.downsample(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution between 1x1 ones beside a shortcut (1512.03385 figure 5 right); the stride is on the 3x3."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(in_channels, inner, 1), ImageNorm(inner)
        self.conv2, self.bn2 = _conv(inner, inner, 3, stride), ImageNorm(inner)
        self.conv3, self.bn3 = _conv(inner, out_channels, 1), ImageNorm(out_channels)
        self.downsample = _projection(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x))
        y = self.bn2(self.conv2(y))
        return self.bn3(self.conv3(y), x if self.downsample is None else self.downsample(x))


class PreActivation(nn.Module):
    """A basic block or bottleneck whose convolutions are each behind a norm and a ReLU (1603.05027 figure 4e).

    Where the shortcut needs a projection, that too sees the normalised and activated input.
    """

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if inner == out_channels:
            shapes = [(in_channels, inner, 3, stride), (inner, out_channels, 3, 1)]
        else:
            shapes = [(in_channels, inner, 1, 1), (inner, inner, 3, stride), (inner, out_channels, 1, 1)]
        self.norms = nn.ModuleList(ImageNorm(shape[0]) for shape in shapes)
        self.convs = nn.ModuleList(_conv(*shape) for shape in shapes)
        projects = stride > 1 or in_channels != out_channels
        self.downsample = _conv(in_channels, out_channels, 1, stride) if projects else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.norms[0](x)
        shortcut = x if self.downsample is None else self.downsample(y)
        y = self.convs[0](y)
        for norm, conv in zip(list(self.norms)[1:], list(self.convs)[1:], strict=True):
            y = conv(norm(y))
        return y + shortcut


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> ImageConv:
    return ImageConv(in_channels, out_channels, kernel, stride)


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(_conv(in_channels, out_channels, 1, stride), ImageNorm(out_channels, relu=False))


def _initialise(encoder: nn.Module, zero_init_residual: bool) -> None:
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for module in encoder.modules() if zero_init_residual else ():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
        elif isinstance(module, PreActivation):
            nn.init.zeros_(module.convs[-1].weight)  # pyright: ignore[reportArgumentType]
