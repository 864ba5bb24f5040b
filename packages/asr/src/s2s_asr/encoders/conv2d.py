"""Two-dimensional convolutions over time and feature, the front end of DeepSpeech2."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.frames import FrameLayout, PaddedFrames
from s2s_core.nn.norm import BatchNorm


@dataclass
class Conv2dSpec:
    """One convolution: its number of output channels, and kernel and stride as ``(time, feature)``."""

    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if self.out_channels < 1:
            raise ValueError(f"out_channels must be positive, not {self.out_channels}")
        if len(self.kernel) != 2 or len(self.stride) != 2:
            raise ValueError(f"kernel and stride must be (time, feature), not {self.kernel} and {self.stride}")
        self.kernel = (self.kernel[0], self.kernel[1])  # YAML and checkpoints give lists
        self.stride = (self.stride[0], self.stride[1])
        if any(size < 1 or size % 2 == 0 for size in self.kernel):
            raise ValueError(f"kernel sizes must be odd and positive, not {self.kernel}")
        if any(step < 1 for step in self.stride):
            raise ValueError(f"strides must be positive, not {self.stride}")


class ConvLayer(nn.Module):
    """Convolution without bias, batch norm, rectifier.

    The kernel is centred: zeros lie before and after each utterance, whatever the batch holds there. (TensorFlow's
    ``SAME`` padding with a stride is not symmetric, and where it puts frames depends on the padded length.)
    """

    def __init__(self, in_channels: int, spec: Conv2dSpec, norm_momentum: float, clip: float | None) -> None:
        super().__init__()
        self.stride = spec.stride[0]
        self.reach = spec.kernel[0] // 2
        self.in_channels, self.out_channels = in_channels, spec.out_channels
        padding = (self.reach, spec.kernel[1] // 2)
        self.conv = nn.Conv2d(in_channels, spec.out_channels, spec.kernel, spec.stride, padding, bias=False)
        self.norm = BatchNorm(spec.out_channels, norm_momentum)
        self.clip = clip

    def forward(self, x: Tensor, layout: FrameLayout) -> tuple[Tensor, FrameLayout]:
        """``(rows, time, features * in_channels)`` to ``(rows, time', features' * out_channels)``, channels last."""
        y = layout.convolve(x, self._convolve, self.reach, self.stride)
        layout = layout.strided(self.stride)
        return layout.clean(rectify(self._normalise(y, layout), self.clip)), layout

    def _normalise(self, y: Tensor, layout: FrameLayout) -> Tensor:
        features = y.size(2) // self.out_channels
        if isinstance(layout, PaddedFrames):  # each feature of a real frame counts as a real frame of its own
            layout = PaddedFrames(layout.lengths * features, layout.time * features)
        return self.norm(y.reshape(y.size(0), -1, self.out_channels), layout).reshape(y.shape)

    def _convolve(self, x: Tensor) -> Tensor:
        # channels last would need no copy, but the CPU's gradient of a strided convolution takes 80 times as long there
        image = x.unflatten(2, (-1, self.in_channels)).permute(0, 3, 1, 2).contiguous()
        return self.conv(image).permute(0, 2, 3, 1).flatten(2)


def time_reach(layers: Iterable[nn.Module]) -> tuple[int, int]:
    """The frames that a stack of `ConvLayer` sees to each side of an output's place, and its stride in time."""
    reach, stride = 0, 1
    for layer in layers:
        assert isinstance(layer, ConvLayer)
        reach += layer.reach * stride
        stride *= layer.stride
    return reach, stride


def rectify(x: Tensor, clip: float | None) -> Tensor:
    """ReLU, or ``min(max(x, 0), clip)`` (Hannun et al. 2014, section 2)."""
    return F.relu(x) if clip is None else F.hardtanh(x, 0.0, clip)
