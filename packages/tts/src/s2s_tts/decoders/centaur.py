"""Centaur's decoder: causal convolutions that attend to the text, all steps of training at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.dropout import dropout
from s2s_core.nn.linear import Linear, linear
from s2s_core.nn.mask import length_mask
from s2s_core.nn.positions import sinusoids
from s2s_tts.decoders.prenet import Prenet
from s2s_tts.interfaces import Memory, Prediction, Spectrogram, SpectrogramDecoder


@dataclass
class CentaurSizes:
    """The published sizes."""

    hidden: int = 512
    attention_layers: int = 4
    conv_layers: int = 4
    magnitude_layers: int = 4
    kernel: int = 5
    """Taps of every causal convolution."""
    prenet_layers: int = 2
    prenet_dropout: float = 0.5
    dropout: float = 0.1
    window: int = 4
    """In synthesis, tokens that a forced layer may attend to, from the one that it attended to most the step before."""
    back: int = 0
    """Tokens before that one which it may attend to as well."""
    forced: tuple[int, ...] = (1, 3)
    """The attention layers whose attention is so bound."""


_PUBLISHED = CentaurSizes()


class CentaurDecoder(SpectrogramDecoder):
    """Prenet, blocks of causal convolution and attention, causal convolutions, projection; OpenSeq2Seq's own model.

    Everything looks only back, so that training sees all steps at once and synthesis keeps the last few inputs of each
    convolution. Attention is one head of scaled products with positions added to both sides; in synthesis the forced
    layers attend within a window that only moves forward. Layer norm before each convolution stands where OpenSeq2Seq
    has batch norm after it; the prenet's dropout is off in synthesis.

    Args:
        in_features: the size of an encoding.
        num_mels: mel bands.
        magnitude_bins: size of the linear spectrum that is predicted as well, if one is.
        reduction_factor: frames a step.
        stop_threshold: a stop probability above it ends an utterance.
        sizes: the rest.
    """

    def __init__(
        self,
        in_features: int,
        num_mels: int = 80,
        magnitude_bins: int | None = None,
        reduction_factor: int = 2,
        stop_threshold: float = 0.5,
        sizes: CentaurSizes = _PUBLISHED,
    ) -> None:
        super().__init__()
        if reduction_factor < 1:
            raise ValueError(f"reduction_factor must be at least 1, got {reduction_factor}")
        for name, size in (("in_features", in_features), ("sizes.hidden", sizes.hidden)):
            if size % 2 or size < 4:
                raise ValueError(f"{name} must be an even number from 4 up, to carry positions, got {size}")
        hidden, kernel, dropout = sizes.hidden, sizes.kernel, sizes.dropout
        self.in_features = in_features
        self.num_mels = num_mels
        self.magnitude_bins = magnitude_bins
        self.reduction_factor = reduction_factor
        self.stop_threshold = stop_threshold
        self.sizes = sizes
        width = num_mels * reduction_factor
        self.prenet = Prenet(width, hidden, sizes.prenet_layers, sizes.prenet_dropout, always=False)
        self.blocks = nn.ModuleList(
            AttentionBlock(hidden, in_features, kernel, dropout) for _ in range(sizes.attention_layers)
        )
        self.convolutions = nn.ModuleList(CausalBlock(hidden, kernel, dropout) for _ in range(sizes.conv_layers))
        self.projection = Linear(hidden, width)
        self.stop = Linear(hidden, 1)
        self.magnitude_blocks = nn.ModuleList(
            CausalBlock(hidden, kernel, dropout) for _ in range(sizes.magnitude_layers if magnitude_bins else 0)
        )
        self.magnitude = Linear(hidden, magnitude_bins * reduction_factor) if magnitude_bins else None

    @classmethod
    def examples(cls) -> list[CentaurDecoder]:
        """Small ones for the contract tests."""
        small = CentaurSizes(8, 2, 1, 1, 3, dropout=0.0, prenet_dropout=0.0, window=2, forced=(1,))
        free = CentaurSizes(8, 1, 1, 1, 3, dropout=0.0, prenet_dropout=0.0, window=3, back=1, forced=(0,))
        return [cls(10, 4, sizes=small), cls(10, 4, magnitude_bins=6, reduction_factor=3, sizes=free)]

    def forward(self, memory: Memory, target: Spectrogram, seeds: Tensor | None = None) -> Prediction:
        time, factor = target.mel.shape[1], self.reduction_factor
        real = length_mask(target.lengths, time)[..., None]
        shown = (
            F.pad(target.mel.masked_fill(~real, 0.0), (0, 0, 0, -time % factor)).unflatten(1, (-1, factor)).flatten(2)
        )
        x = self.prenet(F.pad(shown, (0, 0, 1, -1)), seeds)
        x = x + sinusoids(torch.arange(x.shape[1], device=x.device), x.shape[2])
        memories = self._memories(memory)
        mask = length_mask(memory.lengths, memory.values.shape[1])[:, None]
        alignments = []
        for block, (keys, values) in zip(self.blocks, memories, strict=True):
            x, weights = block(x, keys, values, mask)
            alignments.append(weights)
        finished = torch.ones_like(memory.lengths, dtype=torch.bool)
        return self._prediction(x, self._heads(x), torch.stack(alignments).mean(0), target.lengths, time, finished)

    def _memories(self, memory: Memory) -> list[tuple[Tensor, Tensor]]:
        place = torch.arange(memory.values.shape[1], device=memory.values.device)
        placed = memory.values + sinusoids(place, memory.values.shape[2])
        blocks = (block for block in self.blocks if isinstance(block, AttentionBlock))
        return [(block.key(placed), block.value(memory.values)) for block in blocks]

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        deep = x
        for block in self.convolutions:
            deep = block(deep)
        return self.projection(deep), self.stop(deep)[..., 0]

    def _prediction(
        self, x: Tensor, heads: tuple[Tensor, Tensor], alignments: Tensor, lengths: Tensor, time: int, finished: Tensor
    ) -> Prediction:
        frames, stop = heads
        real = length_mask(lengths, time)[..., None]

        def unfolded(steps: Tensor) -> Tensor:
            return steps.unflatten(2, (self.reduction_factor, -1)).flatten(1, 2)[:, :time].masked_fill(~real, 0.0)

        magnitude = None
        if self.magnitude is not None:
            for block in self.magnitude_blocks:
                x = block(x)
            magnitude = unfolded(self.magnitude(x))
        spectrogram = Spectrogram(unfolded(frames), lengths, magnitude)
        return Prediction(None, spectrogram, stop, alignments, finished, self.reduction_factor)

    def generate(self, memory: Memory, seeds: Tensor, max_frames: Tensor) -> Prediction:
        limits = (max_frames + self.reduction_factor - 1) // self.reduction_factor
        batch, device = len(limits), memory.values.device
        lengths, finished = torch.zeros_like(limits), torch.zeros(batch, dtype=torch.bool, device=device)
        state = _Speech(self, memory)
        for step in range(int(limits.max())):
            over = torch.sigmoid(state.step(step, seeds).float()) > self.stop_threshold
            ends = (lengths == 0) & (over | (step + 1 >= limits))
            lengths = torch.where(ends, step + 1, lengths)
            finished |= ends & over
            if bool((lengths > 0).all()):
                break
        x, frames, stop, alignments = state.collected()
        frames_made = torch.minimum(lengths * self.reduction_factor, max_frames)
        return self._prediction(x, (frames, stop), alignments, frames_made, int(frames_made.max()), finished)


class CausalConv(nn.Module):
    """A convolution that sees a step and those before it; ``(batch, steps, channels)``."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.reach = kernel - 1
        self.conv = nn.Conv1d(channels, channels, kernel)

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """Convolve steps; ``before`` holds up to ``kernel - 1`` inputs before them; zeros stand before those."""
        seen = x if before is None else torch.cat((before, x), dim=1)
        missing = self.reach - (0 if before is None else before.shape[1])
        return self.conv(F.pad(seen, (0, 0, missing, 0)).mT).mT


class CausalBlock(nn.Module):
    """Layer norm, causal convolution, ReLU and dropout, added to what came in."""

    def __init__(self, channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = CausalConv(channels, kernel)
        self.dropout = dropout

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """Steps ``(batch, steps, channels)``; ``before`` are inputs of the block before them."""
        past = None if before is None else self.norm(before)
        return x + dropout(torch.relu(self.conv(self.norm(x), past)), self.dropout, self.training)


class AttentionBlock(nn.Module):
    """A causal block, then one head of attention to the text, added to what came in."""

    def __init__(self, channels: int, memory_size: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.causal = CausalBlock(channels, kernel, dropout)
        self.norm = nn.LayerNorm(channels)
        self.query = Linear(channels, channels, bias=False)
        self.key = Linear(memory_size, channels, bias=False)
        self.value = Linear(memory_size, channels, bias=False)
        self.output = Linear(channels, channels)
        self.dropout = dropout

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            x: ``(batch, steps, channels)``.
            keys, values: of the text, ``(batch, tokens, channels)``.
            mask: ``(batch, steps or 1, tokens)``, true where a step may look.
            before: inputs of the block before ``x``.

        Returns:
            the block's output and its weights ``(batch, steps, tokens)``.
        """
        x = self.causal(x, before)
        scores = self.query(self.norm(x)) @ keys.mT / math.sqrt(keys.shape[2])
        weights = scores.float().masked_fill(~mask, float("-inf")).softmax(2)
        dropped = dropout(weights, self.dropout, self.training).to(values.dtype)
        return x + linear(dropped @ values, self.output.weight, self.output.bias), weights


class _Speech:
    """Free speech, a step at a time, with the last inputs of every convolution kept."""

    def __init__(self, decoder: CentaurDecoder, memory: Memory) -> None:
        self.decoder = decoder
        self.memories = decoder._memories(memory)
        self.real = length_mask(memory.lengths, memory.values.shape[1])
        batch = len(memory.lengths)
        self.past: list[Tensor | None] = [None] * (len(decoder.blocks) + len(decoder.convolutions))
        self.heads_at = [torch.zeros_like(memory.lengths) for _ in decoder.blocks]
        """The token to which each block attended most."""
        self.frame = memory.values.new_zeros(batch, 1, decoder.num_mels * decoder.reduction_factor)
        self.made: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def step(self, number: int, seeds: Tensor) -> Tensor:
        """Speak one step; returns the stop token's logits ``(batch,)``."""
        decoder = self.decoder
        x = decoder.prenet(self.frame, seeds, number)
        x = x + sinusoids(torch.tensor([number], device=x.device), x.shape[2])
        weights = []
        for place, (block, (keys, values)) in enumerate(zip(decoder.blocks, self.memories, strict=True)):
            out, attended = block(x, keys, values, self._window(place)[:, None], self.past[place])
            self._push(place, x)
            self.heads_at[place] = attended[:, 0].argmax(1)
            weights.append(attended)
            x = out
        deep = x
        for place, block in enumerate(decoder.convolutions, start=len(decoder.blocks)):
            out = block(deep, self.past[place])
            self._push(place, deep)
            deep = out
        self.frame, stop = decoder.projection(deep), decoder.stop(deep)[..., 0]
        self.made.append((x, self.frame, stop, torch.stack(weights).mean(0)))
        return stop[:, 0]

    def _push(self, place: int, x: Tensor) -> None:
        past, kept = self.past[place], self.decoder.sizes.kernel - 1
        self.past[place] = (x if past is None else torch.cat((past, x), dim=1))[:, -kept:]

    def _window(self, place: int) -> Tensor:
        if place not in self.decoder.sizes.forced:
            return self.real
        tokens = torch.arange(self.real.shape[1], device=self.real.device)
        first = self.heads_at[place][:, None] - self.decoder.sizes.back
        return self.real & (tokens >= first) & (tokens < first + self.decoder.sizes.window + self.decoder.sizes.back)

    def collected(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the steps made: inputs of the heads, frames, stop logits ``(batch, steps)`` and alignments."""
        x, frames, stop, weights = (torch.cat(column, dim=1) for column in zip(*self.made, strict=True))
        return x, frames, stop, weights
