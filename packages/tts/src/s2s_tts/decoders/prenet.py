"""The layers through which a decoder sees its own frames, with dropout that never goes away."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from s2s_core.nn.dropout import dropout
from s2s_core.nn.linear import Linear

_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_UNIT_BITS = 20


class Prenet(nn.Module):
    """Linear layers with ReLU and dropout, also in synthesis (Shen et al. 2018, section 2.2).

    Without noise in the frames that it sees, a decoder trained on true frames repeats itself. In synthesis the noise is
    a function of an utterance's seed and the step, so that it does not depend on batch-mates. No biases, as in the
    published model; OpenSeq2Seq had them.

    Args:
        in_features: the size of a frame.
        size: of each layer.
        layers: how many.
        dropout: drop probability.
        always: whether it stays on in synthesis (Centaur turns it off).
    """

    def __init__(self, in_features: int, size: int, layers: int = 2, dropout: float = 0.5, always: bool = True) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"prenet dropout is a drop probability in [0, 1), got {dropout}")
        sizes = [in_features, *[size] * layers]
        self.layers = nn.ModuleList(Linear(a, b, bias=False) for a, b in itertools.pairwise(sizes))
        self.dropout = dropout
        self.always = always
        self.size = size

    def forward(self, frames: Tensor, seeds: Tensor | None, first_step: int = 0) -> Tensor:
        """Transform ``(batch, steps, in_features)``.

        Args:
            frames: what the decoder made or, in training, should have made.
            seeds: ``(batch,)``, of the dropout in evaluation; None draws from torch's generator.
            first_step: the number of the first step.
        """
        masks = self.masks(seeds, first_step, frames.shape[1]) if seeds is not None else None
        x = frames
        for number, layer in enumerate(self.layers):
            x = torch.relu(layer(x))
            if masks is not None:
                x = x * masks[number].to(x.dtype)
            elif self.dropout and (self.training or self.always):
                x = dropout(x, self.dropout, training=True)
        return x

    def masks(self, seeds: Tensor, first_step: int, steps: int) -> list[Tensor] | None:
        """For each layer ``(batch, steps, size)``, what its outputs are multiplied by: 0 or ``1 / (1 - dropout)``."""
        if not self.dropout or not (self.training or self.always):
            return None
        units = torch.arange(len(self.layers) * self.size, device=seeds.device)
        numbers = torch.arange(first_step, first_step + steps, device=seeds.device)
        keep = seeded_uniform(seeds, numbers, units) >= self.dropout
        return list((keep / (1 - self.dropout)).to(torch.float32).chunk(len(self.layers), dim=2))


def seeded_uniform(seeds: Tensor, steps: Tensor, units: Tensor) -> Tensor:
    """Numbers in [0, 1), ``(seeds, steps, units)``: each a hash of its three coordinates (SplitMix64, Steele 2014).

    The same on every device, and for any subset of the coordinates.
    """
    place = (steps[:, None] << _UNIT_BITS) + units
    x = _mixed(seeds + _wrapped(_MULTIPLIERS[0]))[:, None, None] ^ place
    return (_shifted(_mixed(x * _wrapped(_MULTIPLIERS[0])), 40)).to(torch.float32) / (1 << 24)


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _wrapped(_MULTIPLIERS[1])
    x = (x ^ _shifted(x, 27)) * _wrapped(_MULTIPLIERS[2])
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, with zeros coming in: torch's own shift repeats the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _wrapped(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
