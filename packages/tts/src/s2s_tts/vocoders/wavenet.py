"""The WaveNet vocoder: mel spectrograms to sound, one sample after the other."""

from __future__ import annotations

import torch
from torch import Tensor

from s2s_core.nn.mask import length_mask
from s2s_tts.interfaces import Spectrogram, Vocoder
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.vocoders.mu_law import mu_law_decode
from s2s_tts.vocoders.upsampling import Repetition, Upsampling
from s2s_tts.vocoders.wavenet_cached import CachedSteps, Steps
from s2s_tts.vocoders.wavenet_native import NativeSteps, Weights, native_library
from s2s_tts.vocoders.wavenet_network import WaveNetNetwork, WaveNetShape

# what conditions add to all layers' gates in so many samples is held in memory at a time
_CHUNK_NUMBERS = 1 << 24
_LONGEST_CHUNK = 4096
_ORIGINAL = WaveNetShape()


class WaveNet(Vocoder):
    """A network conditioned on mel bands (van den Oord et al. 2016; Shen et al. 2018, section 2.3, had mixtures).

    OpenSeq2Seq's WaveNet: 3 blocks of 10 layers, 64 filters of width 3, receptive field 6139, 256 mu-law levels,
    conditions repeated from frame to samples. Its inference ran the whole network for each sample; here each layer
    remembers. On the host the loop is compiled where there is a compiler (see `s2s_core.nn.native`).

    Args:
        features: what the spectrograms are.
        shape: the network's sizes.
        upsampling: from frames to samples; the nearest frame if None.
        temperature: what scores are divided by before a level is drawn; 0 takes the likeliest.
        weights: as what the compiled loop keeps them; ``bfloat16`` is faster and nearly the same.

    Raises:
        ValueError: if the upsampling does not suit the spacing of the frames, or the temperature is negative.
    """

    def __init__(
        self,
        features: MelSpectrogram,
        shape: WaveNetShape = _ORIGINAL,
        upsampling: Upsampling | None = None,
        temperature: float = 1.0,
        weights: Weights = "float32",
    ) -> None:
        super().__init__()
        if temperature < 0:
            raise ValueError(f"temperature must be at least 0, got {temperature}")
        if weights not in ("float32", "bfloat16"):
            raise ValueError(f"weights must be float32 or bfloat16, got {weights!r}")
        self.features = features
        self.network = WaveNetNetwork(shape, features.num_features)
        self.upsampling = upsampling if upsampling is not None else Repetition()
        self.stride = self.upsampling.stride(features.hop_samples)
        self.temperature = temperature
        self.weights: Weights = weights

    @classmethod
    def examples(cls) -> list[WaveNet]:
        """Small ones for the contract tests."""
        from s2s_tts.vocoders.upsampling import TransposedConvolutions

        small = WaveNetShape(2, 3, 2, 8, 12, 16, 32)
        return [
            cls(MelSpectrogram(20, 8000, 128), small),
            cls(MelSpectrogram(20, 8000, 128), small, TransposedConvolutions(20, [4, 8])),
        ]

    @property
    def levels(self) -> int:
        """How many levels a sample can have."""
        return self.network.shape.levels

    def scores(self, levels: Tensor, mel: Tensor, lengths: Tensor) -> Tensor:
        """Scores ``(batch, samples, levels)`` of each of the true samples, given those before it.

        Args:
            levels: ``(batch, samples)`` int64, from the first frame's centre on, up to the last one's.
            mel: ``(batch, frames, bands)``.
            lengths: ``(batch,)`` frames.
        """
        return self.network(levels, self.upsampling(mel, lengths), self.stride)

    @torch.no_grad()
    def forward(self, spectrogram: Spectrogram, seeds: Tensor | None = None) -> Tensor:
        device = spectrogram.mel.device
        samples = self.features.samples(spectrogram.lengths)
        longest = (spectrogram.mel.size(1) - 1) * self.features.hop_samples
        numbers = [0] * len(samples) if seeds is None else seeds.tolist()
        # drawn on the CPU one after the other: longer utterances begin as shorter ones do, on every device
        uniforms = torch.stack([torch.rand(longest, generator=torch.Generator().manual_seed(n)) for n in numbers])
        with torch.autocast(device.type, enabled=False):
            conditions = self.upsampling(spectrogram.mel.to(self.network.embedding.weight.dtype), spectrogram.lengths)
            levels = self._draw(conditions, uniforms.to(device))
        return mu_law_decode(levels, self.levels).masked_fill(~length_mask(samples, longest), 0.0)

    def _draw(self, conditions: Tensor, uniforms: Tensor) -> Tensor:
        batch, samples = uniforms.shape
        steps = make_steps(self.network, batch, self.temperature, self.weights)
        width = batch * 2 * self.network.shape.residual_channels * len(self.network.layers)
        chunk = max(1, min(_LONGEST_CHUNK, _CHUNK_NUMBERS // width))
        drawn = []
        # in chunks, so that Ctrl-C is heard between them
        for begin in range(0, samples, chunk):
            end = min(samples, begin + chunk)
            first, last = ((n + self.stride // 2) // self.stride for n in (begin, end - 1))
            assert self.network.condition is not None
            shares = self.network.condition(conditions[:, first : last + 1])
            drawn.append(steps.run(shares, first, self.stride, uniforms[:, begin:end]))
        return torch.cat(drawn, dim=1) if drawn else uniforms.new_zeros(batch, 0, dtype=torch.int64)


def make_steps(network: WaveNetNetwork, batch: int, temperature: float = 1.0, weights: Weights = "float32") -> Steps:
    """The fastest way to draw samples where the network is: compiled on the host, a CUDA graph on a GPU.

    A float64 network runs in torch operations, in float64.
    """
    parameter = network.embedding.weight
    library = native_library() if parameter.device.type == "cpu" and parameter.dtype != torch.float64 else None
    if library is None:
        return CachedSteps(network, batch, temperature)
    return NativeSteps(library, network, batch, temperature, weights)
