"""The compiled steps of ``wavenet_steps.cpp``: what they are given, and in what order."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.ceiling import round_up
from s2s_core.nn.native import load_library
from s2s_tts.vocoders.wavenet_cached import Steps
from s2s_tts.vocoders.wavenet_network import WaveNetNetwork

SOURCE = Path(__file__).with_name("wavenet_steps.cpp")
PANEL = 64
"""Outputs whose weights for one input lie side by side; widths are filled up to multiples of it."""

Weights = Literal["float32", "bfloat16"]
"""As what compiled steps keep the weights; sums are float32."""

_SIZES = ("layers", "kernel", "channels", "skips", "hidden", "padded_levels", "levels", "bfloat16")
_JOB_SIZES = ("rows", "samples", "position", "stride", "first", "conditions", "threads")


class _Network(ctypes.Structure):
    """The struct of the same name in ``wavenet_steps.cpp``."""

    _fields_ = [(name, ctypes.c_int64) for name in _SIZES] + [
        (name, ctypes.c_void_p) for name in ("dilations", "embedding", "weights", "biases")
    ]


class _Job(ctypes.Structure):
    """The struct of the same name in ``wavenet_steps.cpp``."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in _JOB_SIZES),
        *((name, ctypes.c_void_p) for name in ("shares", "uniforms", "rings", "previous", "out")),
        ("temperature", ctypes.c_double),
    ]


class NativeSteps(Steps):
    """`CachedSteps` on the host, compiled: threads share the rows, and no Python runs between samples.

    Args:
        library: of `native_library`.
        network: on the CPU.
        batch: rows.
        temperature: see `draw`.
        weights: ``bfloat16`` rounds them, which moves scores by some thousandths and lets them stay in the cache.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        network: WaveNetNetwork,
        batch: int,
        temperature: float = 1.0,
        weights: Weights = "float32",
    ) -> None:
        shape = network.shape
        self._run = library.s2s_wavenet
        self._temperature = temperature
        self._shape = shape
        self._channels = round_up(shape.residual_channels, PANEL)
        self._tensors = _packed(network, weights)
        self._gate_biases = torch.cat([_halves(layer.gates.bias, self._channels) for layer in network.layers])  # type: ignore[union-attr, arg-type]
        history = (shape.kernel - 1) * sum(shape.dilations)
        self._rings = torch.zeros(batch, history, self._channels)
        self._previous = torch.full((batch,), network.silence)
        self._done = 0
        self._network = _Network(
            layers=len(network.layers),
            kernel=shape.kernel,
            channels=self._channels,
            skips=round_up(shape.skip_channels, PANEL),
            hidden=round_up(shape.output_channels, PANEL),
            padded_levels=round_up(shape.levels, PANEL),
            levels=shape.levels,
            bfloat16=int(weights == "bfloat16"),
            **{name: tensor.data_ptr() for name, tensor in self._tensors.items()},
        )

    def run(self, shares: Tensor | None, first: int, stride: int, uniforms: Tensor) -> Tensor:
        batch, samples = uniforms.shape
        if shares is None:
            shares, first, stride = torch.zeros(batch, 1, 1), 0, self._done + samples + 1
            shares = shares.expand(-1, -1, 2 * self._shape.residual_channels * len(self._shape.dilations))
        halves = shares.detach().float().unflatten(-1, (-1, self._shape.residual_channels))
        wide = F.pad(halves, (0, self._channels - halves.size(-1))).flatten(2)
        tensors = {
            "shares": (wide + self._gate_biases).contiguous(),
            "uniforms": uniforms.float().contiguous(),
            "rings": self._rings,
            "previous": self._previous,
            "out": torch.empty(batch, samples, dtype=torch.int64),
        }
        job = _Job(
            rows=batch,
            samples=samples,
            position=self._done,
            stride=stride,
            first=first,
            conditions=shares.size(1),
            threads=torch.get_num_threads(),
            temperature=self._temperature,
            **{name: tensor.data_ptr() for name, tensor in tensors.items()},
        )
        self._run(ctypes.byref(self._network), ctypes.byref(job))
        self._done += samples
        return tensors["out"]


def native_library() -> ctypes.CDLL | None:
    """The compiled kernel, or None where it cannot be had: see `load_library`."""
    return load_library(SOURCE)


@torch.no_grad()
def _packed(network: WaveNetNetwork, weights: Weights) -> dict[str, Tensor]:
    """Every number of the network in the order in which it is read."""
    shape = network.shape
    channels, skips = round_up(shape.residual_channels, PANEL), round_up(shape.skip_channels, PANEL)
    matrices, biases = [], []
    for layer in network.layers:
        gates = layer.gates.weight.float().unflatten(1, (shape.kernel, -1))  # type: ignore[union-attr]
        gates = F.pad(gates, (0, channels - gates.size(-1))).flatten(1)
        matrices.append(_panels(_halves(gates, channels), weights))
        to_residual, to_skip = layer.out.weight.float().split([shape.residual_channels, shape.skip_channels])  # type: ignore[union-attr]
        matrices.append(_panels(torch.cat([_grown(to_residual, channels), _grown(to_skip, skips)]), weights, channels))
        residual, skip = layer.out.bias.float().split([shape.residual_channels, shape.skip_channels])  # type: ignore[union-attr]
        biases += [_grown(residual, channels), _grown(skip, skips)]
    for last, inputs, outputs in (
        (network.hidden, skips, round_up(shape.output_channels, PANEL)),
        (network.levels, round_up(shape.output_channels, PANEL), round_up(shape.levels, PANEL)),
    ):
        matrices.append(_panels(_grown(last.weight.float(), outputs), weights, inputs))
        biases.append(_grown(last.bias.float(), outputs))
    embedding = network.embedding.weight.float()
    return {
        "dilations": torch.tensor(shape.dilations),
        "embedding": F.pad(embedding, (0, channels - embedding.size(1))).contiguous(),
        "weights": torch.cat(matrices).contiguous(),
        "biases": torch.cat(biases).contiguous(),
    }


def _grown(rows: Tensor, count: int) -> Tensor:
    """``rows`` with zeros after them, ``count`` in all."""
    return torch.cat([rows, rows.new_zeros(count - len(rows), *rows.shape[1:])])


def _halves(rows: Tensor, count: int) -> Tensor:
    """Contents and gates, each filled up to ``count``."""
    return torch.cat([_grown(half, count) for half in rows.detach().float().chunk(2)])


def _panels(weight: Tensor, weights: Weights, inputs: int | None = None) -> Tensor:
    """``(outputs, inputs)`` to panels of outputs, in each of them input by input; pairs of inputs for bfloat16."""
    if inputs is not None:
        weight = F.pad(weight, (0, inputs - weight.size(1)))
    panels = weight.view(-1, PANEL, weight.size(1)).mT  # (panel, input, 64)
    if weights == "float32":
        return panels.flatten()
    pairs = panels.unflatten(1, (-1, 2)).transpose(2, 3)  # (panel, pair, 64, 2)
    return pairs.flatten().bfloat16()
