"""Samples of a WaveNet one after the other, each layer's work once a sample (Paine et al. 2016, arXiv:1611.09482)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from s2s_tts.vocoders.wavenet_network import WaveNetNetwork, draw

_WARM_UP = 3


class Steps(ABC):
    """Draws samples for a batch; goes on where it stopped when it is called again."""

    @abstractmethod
    def run(self, shares: Tensor | None, first: int, stride: int, uniforms: Tensor) -> Tensor:
        """Draw the next samples.

        Args:
            shares: ``(batch, conditions, layers * 2 * channels)``: what conditions add to the gates; None for nothing.
            first: which condition the first of them is.
            stride: samples that a condition stands for, see `Upsampling.forward`.
            uniforms: ``(batch, samples)`` in [0, 1), one for each draw.

        Returns:
            levels ``(batch, samples)``, int64.
        """


class CachedSteps(Steps):
    """The same samples as the network gives that is run anew for each of them, to rounding, on any device.

    A layer keeps what it saw as far back as its oldest tap in a ring, so a sample costs the same wherever it is. On a
    CUDA device a step is recorded once as a CUDA graph and replayed, because its small kernels would otherwise wait
    for the host.

    Args:
        network: in evaluation, on the device where it stays.
        batch: rows.
        temperature: see `draw`.
    """

    def __init__(self, network: WaveNetNetwork, batch: int, temperature: float = 1.0) -> None:
        weight = network.embedding.weight
        self._network, self._temperature = network, temperature
        kernel, dilations = network.shape.kernel, torch.tensor(network.shape.dilations)
        reach = dilations[:, None] * torch.arange(kernel - 1, 0, -1)
        sizes = dilations * (kernel - 1)
        self._reach = reach.to(weight.device)
        self._sizes = sizes.clamp(min=1)[:, None].to(weight.device)
        self._begins = (sizes.cumsum(0) - sizes)[:, None].to(weight.device)
        self._rings = weight.new_zeros(int(sizes.sum()), batch, weight.size(1))
        self._position = torch.zeros((), dtype=torch.int64, device=weight.device)
        self._level = torch.full((batch,), network.silence, device=weight.device)
        self._share = weight.new_zeros(batch, 2 * weight.size(1) * len(network.layers))
        self._uniform = torch.zeros(batch, device=weight.device)
        self._done = 0
        self._replay: Callable[[], None] | None = None

    @torch.no_grad()
    def run(self, shares: Tensor | None, first: int, stride: int, uniforms: Tensor) -> Tensor:
        step = self._step if self._level.device.type != "cuda" else self._graph()
        levels = torch.empty(uniforms.shape, dtype=torch.int64, device=uniforms.device)
        for i in range(uniforms.size(1)):
            if shares is not None:
                self._share.copy_(shares[:, (self._done + stride // 2) // stride - first])
            self._uniform.copy_(uniforms[:, i])
            step()
            levels[:, i] = self._level
            self._done += 1
        return levels

    def _step(self) -> None:
        """One sample, in place and without a look at any value, so that a CUDA graph can hold it."""
        network = self._network
        x = network.embedding(self._level)
        skips = torch.zeros((), dtype=x.dtype, device=x.device)
        slots = self._begins + (self._position - self._reach) % self._sizes
        shares = self._share.chunk(len(network.layers), dim=-1)
        for layer, share, slot in zip(network.layers, shares, slots, strict=True):
            past = self._rings[slot]
            gates = layer.gates(torch.cat([*past, x], dim=1))  # type: ignore[operator]
            if len(slot):
                self._rings.index_copy_(0, slot[:1], x[None])  # in the oldest's place
            x, skip = layer.activate(x, gates, share)  # type: ignore[operator]
            skips = skips + skip
        self._level.copy_(draw(network.outputs(skips), self._uniform, self._temperature))
        self._position += 1

    def _graph(self) -> Callable[[], None]:
        if self._replay is None:
            kept = [part.clone() for part in (self._rings, self._position, self._level)]
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP):
                    self._step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._step()
            for part, before in zip((self._rings, self._position, self._level), kept, strict=True):
                part.copy_(before)
            self._replay = graph.replay
        return self._replay
