"""The network of WaveNet: gated causal convolutions whose dilation doubles from layer to layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class WaveNetShape:
    """The sizes of a WaveNet. The defaults are OpenSeq2Seq's: 3 blocks of 10 layers of 64 filters of width 3.

    Raises:
        ValueError: if a number is not positive.
    """

    blocks: int = 3
    layers_per_block: int = 10
    """With dilations 1, 2, 4 ..."""
    kernel: int = 3
    residual_channels: int = 64
    """Also those of the gated activations."""
    skip_channels: int = 64
    output_channels: int = 256
    """Between the two last layers."""
    levels: int = 256

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be positive, got {value}")

    @property
    def dilations(self) -> list[int]:
        return [2**layer for _ in range(self.blocks) for layer in range(self.layers_per_block)]

    @property
    def receptive_field(self) -> int:
        """Samples that a prediction can depend on."""
        return 1 + (self.kernel - 1) * sum(self.dilations)


class WaveNetLayer(nn.Module):
    """Taps of a causal convolution, a gate, and one product for the residual and the skip connection."""

    def __init__(self, shape: WaveNetShape, dilation: int) -> None:
        super().__init__()
        channels = shape.residual_channels
        self.reach = [tap * dilation for tap in range(shape.kernel - 1, -1, -1)]
        self.gates = nn.Linear(shape.kernel * channels, 2 * channels)
        self.out = nn.Linear(channels, channels + shape.skip_channels)

    def forward(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """``(batch, time, channels)`` to the next layer's input and the share of the skip connection."""
        time = x.size(1)
        padded = F.pad(x, (0, 0, self.reach[0], 0))
        taps = torch.cat([padded[:, self.reach[0] - back : self.reach[0] - back + time] for back in self.reach], dim=2)
        return self.activate(x, self.gates(taps), condition)

    def activate(self, x: Tensor, gates: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """From the sums over taps on; ``x`` is the layer's input at the same places."""
        content, gate = (gates if condition is None else gates + condition).chunk(2, dim=-1)
        residual, skip = self.out(content.tanh() * gate.sigmoid()).tensor_split([x.size(-1)], dim=-1)
        return x + residual, skip


class WaveNetNetwork(nn.Module):
    """Predicts each sample's level from those before it (van den Oord et al. 2016, https://arxiv.org/abs/1609.03499).

    Sections 2.1 to 2.5, with an embedding for the one-hot input (the same sum). Before the beginning there is nothing:
    each layer's taps are zero there. OpenSeq2Seq normalised batches after its convolutions, as the paper does not; nor
    do we, because its statistics would be those of cut-out segments.

    Args:
        shape: the sizes.
        condition_features: of a condition; 0 for none.
    """

    def __init__(self, shape: WaveNetShape, condition_features: int = 0) -> None:
        super().__init__()
        self.shape = shape
        channels, layers = shape.residual_channels, shape.dilations
        self.embedding = nn.Embedding(shape.levels, channels)
        self.layers = nn.ModuleList(WaveNetLayer(shape, dilation) for dilation in layers)
        # the conditions' share of all layers' gates in one product; the layers have the biases
        self.condition = (
            nn.Linear(condition_features, 2 * channels * len(layers), bias=False) if condition_features else None
        )
        self.hidden = nn.Linear(shape.skip_channels, shape.output_channels)
        self.levels = nn.Linear(shape.output_channels, shape.levels)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def silence(self) -> int:
        """The level that comes before the first sample."""
        return self.shape.levels // 2

    def forward(self, levels: Tensor, conditions: Tensor | None = None, stride: int = 1) -> Tensor:
        """Scores ``(batch, time, levels)`` of each sample, given those before it.

        Args:
            levels: ``(batch, time)`` int64, the samples themselves; they are shifted here.
            conditions: ``(batch, conditions, features)``, see `Upsampling`.
            stride: how many samples a condition stands for.
        """
        before = F.pad(levels[:, :-1], (1, 0), value=self.silence)
        return self.scores(self.embedding(before), conditions, stride)

    def scores(self, x: Tensor, conditions: Tensor | None = None, stride: int = 1) -> Tensor:
        """`forward` from embedded samples ``(batch, time, residual_channels)``, each one late."""
        shares = self.condition_shares(conditions)
        skips = x.new_zeros(())
        for layer, share in zip(self.layers, shares, strict=True):
            x, skip = layer(x, None if share is None else spread(share, stride, x.size(1)))
            skips = skips + skip
        return self.outputs(skips)

    def condition_shares(self, conditions: Tensor | None) -> list[Tensor] | list[None]:
        """What the conditions add to each layer's gates."""
        if (conditions is None) != (self.condition is None):
            raise ValueError("conditions were given to a network without any, or none to one with")
        if conditions is None or self.condition is None:
            return [None] * len(self.layers)
        return list(self.condition(conditions).chunk(len(self.layers), dim=-1))

    def outputs(self, skips: Tensor) -> Tensor:
        """The sum of the skip connections to scores of the levels."""
        return self.levels(F.relu(self.hidden(F.relu(skips))))


def spread(conditions: Tensor, stride: int, samples: int) -> Tensor:
    """``(batch, conditions, features)`` to ``(batch, samples, features)``, see `Upsampling.forward`."""
    if stride == 1:
        return conditions[:, :samples]
    begin = stride // 2
    return conditions.repeat_interleave(stride, dim=1)[:, begin : begin + samples]


def draw(scores: Tensor, uniforms: Tensor, temperature: float = 1.0) -> Tensor:
    """The level at which the cumulative probability exceeds ``uniforms``; the likeliest at temperature 0.

    Args:
        scores: ``(..., levels)``.
        uniforms: ``(...)`` in [0, 1).
        temperature: what scores are divided by.
    """
    if temperature == 0:
        return scores.argmax(-1)
    weights = (scores.double() / temperature).softmax(-1).cumsum(-1)
    below = (weights <= uniforms[..., None] * weights[..., -1:]).sum(-1)
    return below.clamp(max=scores.size(-1) - 1)
