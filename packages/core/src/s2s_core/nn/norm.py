"""Normalisation of ``(batch, time, channels)`` that counts real frames only."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s_core.nn.conv_cpu import frames, image
from s2s_core.nn.frames import FrameLayout
from s2s_core.nn.layer_norm import layer_norm

NormName = Literal["batch", "layer", "rms", "instance", "group", "none"]

MOST_GROUPS = 8


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015) over the real frames of the batch.

    OpenSeq2Seq and NeMo count padding in the statistics; here padding changes neither them nor the result.
    Epsilon is OpenSeq2Seq's 1e-3; ``momentum`` is the share of the new value, torch's convention (TensorFlow's
    ``bn_momentum`` 0.90 is 0.1 here). Under autocast or in a half-precision model, statistics and affine are float32.
    """

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-3) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:  # type: ignore[override]
        assert self.momentum is not None
        if self.training and layout.mask is not None:
            return self._masked(x, layout.mask, self.momentum)
        if self.training:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
        y = _BatchNorm.apply(
            x, self.weight, self.bias, self.running_mean, self.running_var, self.training, self.momentum, self.eps
        )
        assert isinstance(y, Tensor)
        return y

    def _masked(self, x: Tensor, mask: Tensor, momentum: float) -> Tensor:
        count = mask.sum().clamp(min=1)
        wide = x.float().masked_fill(~mask, 0.0) if x.dtype != torch.float64 else x.masked_fill(~mask, 0.0)
        mean = wide.sum((0, 1)) / count
        centred = (wide - mean).masked_fill(~mask, 0.0)
        var = centred.square().sum((0, 1)) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
            unbiased = var * count / (count - 1).clamp(min=1)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), momentum)
            self.num_batches_tracked.add_(1)
        return (centred * (torch.rsqrt(var + self.eps) * self.weight) + self.bias).to(x.dtype)


class _BatchNorm(torch.autograd.Function):
    """torch's batch norm of ``(rows, time, channels)`` seen as an image in channels-last memory.

    The gradient that autograd hands to torch's own node has lost that memory format, and falls into a path that is
    ten times slower.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, *statistics: Any) -> Tensor:
        running_mean, running_var, training, momentum, eps = statistics
        pixels = image(x)
        y, mean, inverse_std = torch.native_batch_norm(
            pixels, weight, bias, running_mean, running_var, training, momentum, eps
        )
        ctx.save_for_backward(pixels, weight, running_mean, running_var, mean, inverse_std)
        ctx.training, ctx.eps = training, eps
        return frames(y)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        pixels, weight, running_mean, running_var, mean, inverse_std = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        found = torch.ops.aten.native_batch_norm_backward(
            image(grads[0]), pixels, weight, running_mean, running_var, mean, inverse_std, ctx.training, ctx.eps, wanted
        )
        grad_x = frames(found[0]) if wanted[0] else None
        return grad_x, found[1], found[2], None, None, None, None, None


class LayerNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al. 2016) of each frame over its channels."""

    def __init__(self, channels: int, eps: float = 1e-3) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, x: Tensor, layout: FrameLayout | None = None) -> Tensor:  # type: ignore[override]
        return layer_norm(x, self.weight, self.bias, self.eps)


class RmsNorm(nn.RMSNorm):
    """Root mean square normalisation (Zhang and Sennrich, arXiv 1910.07467) of each frame: no mean, no bias."""

    def __init__(self, channels: int, eps: float = 1e-3) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:  # type: ignore[override]
        # mixed types would leave the fused kernel
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class InstanceNorm(nn.Module):
    """Instance normalisation (Ulyanov et al. 2016): each channel of each sequence over its own real frames."""

    def __init__(self, channels: int, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        padded = layout.leave(x)
        mask = layout.real_frames(x.device)
        count = mask.sum(1, keepdim=True).clamp(min=1)
        wide = padded.double() if x.dtype == torch.float64 else padded.float()
        mean = wide.sum(1, keepdim=True) / count
        centred = (wide - mean).masked_fill(~mask, 0.0)
        var = centred.square().sum(1, keepdim=True) / count
        return layout.enter((centred * torch.rsqrt(var + self.eps) * self.weight + self.bias).to(x.dtype))


class GroupNorm(nn.Module):
    """Group normalisation (Wu and He 2018, arXiv 1803.08494): each group of channels of each sequence over its own real
    frames.

    Args:
        channels: in all.
        groups: how many share them; if not given 8, or the most below that divide the channels.
        eps: added to the variance.

    Raises:
        ValueError: if the groups do not divide the channels.
    """

    def __init__(self, channels: int, groups: int | None = None, eps: float = 1e-3) -> None:
        super().__init__()
        if groups is None:
            groups = next(n for n in range(MOST_GROUPS, 0, -1) if channels % n == 0)
        if groups < 1 or channels % groups:
            raise ValueError(f"groups: expected a divisor of {channels} channels, got {groups}")
        self.groups, self.eps = groups, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        padded = layout.leave(x).unflatten(2, (self.groups, -1))
        mask = layout.real_frames(x.device)[..., None]
        count = mask.sum(1, keepdim=True).clamp(min=1) * padded.shape[3]
        wide = padded if x.dtype == torch.float64 else padded.float()
        mean = wide.sum((1, 3), keepdim=True) / count
        centred = (wide - mean).masked_fill(~mask, 0.0)
        var = centred.square().sum((1, 3), keepdim=True) / count
        normal = (centred * torch.rsqrt(var + self.eps)).flatten(2)
        return layout.enter((normal * self.weight + self.bias).to(x.dtype))


class NoNorm(nn.Module):
    """The identity, in a norm's place."""

    def forward(self, x: Tensor, layout: FrameLayout) -> Tensor:
        return x


def build_norm(name: NormName, channels: int, momentum: float = 0.1, eps: float = 1e-3) -> nn.Module:
    """Return the norm of that name.

    Args:
        name: which.
        channels: its size.
        momentum: of the running statistics, the share of the new value; batch norm only.
        eps: added to the variance.

    Raises:
        ValueError: for another name.
    """
    if name == "batch":
        return BatchNorm(channels, momentum, eps)
    if name == "layer":
        return LayerNorm(channels, eps)
    if name == "rms":
        return RmsNorm(channels, eps)
    if name == "instance":
        return InstanceNorm(channels, eps)
    if name == "group":
        return GroupNorm(channels, eps=eps)
    if name == "none":
        return NoNorm()
    raise ValueError(f"norm must be one of batch, layer, rms, instance, group, none; got {name!r}")
