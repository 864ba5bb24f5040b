"""Tacotron 2's decoder speaking freely: utterances leave the batch as they end; in torch or in the compiled kernel."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.nn.cells import lstm_step
from s2s_core.nn.location_attention import Attended
from s2s_core.nn.mask import length_mask
from s2s_core.nn.rnn import State
from s2s_tts.decoders.native_steps import call, native_steps, packed_gates, packed_linear, packed_location
from s2s_tts.interfaces import Memory

if TYPE_CHECKING:
    from s2s_tts.decoders.tacotron2 import Tacotron2Decoder

BLOCK_STEPS = 16
"""Steps that the compiled kernel makes before utterances may leave."""


class SynthesisLoop(ABC):
    """The states of the utterances that are still spoken, and what has been said.

    Args:
        decoder: whose steps.
        memory: the encoded texts.
        seeds: ``(batch,)``, of the prenet's dropout.
    """

    _ROWS = ("rows", "seeds", "lengths", "values", "keys", "hidden", "cell", "context", "frame")

    def __init__(self, decoder: Tacotron2Decoder, memory: Memory, seeds: Tensor) -> None:
        values, batch = memory.values, len(memory.values)
        self.decoder, self.seeds, self.lengths = decoder, seeds, memory.lengths
        self.values, self.keys = values, decoder.attention.keys(values)
        self.rows = torch.arange(batch, device=values.device)
        """The utterances that are still spoken."""
        self.steps = torch.zeros_like(memory.lengths)
        self.finished = torch.zeros(batch, dtype=torch.bool, device=values.device)
        size = decoder.attention_rnn.hidden_size
        self.hidden, self.cell = values.new_zeros(2, batch, size).unbind()
        self.context = values.new_zeros(batch, values.shape[2])
        self.attended = decoder.attention.start(values)
        self.state: State = decoder.decoder_rnn.initial_state(batch, values)
        self.frame = values.new_zeros(batch, decoder.num_mels)
        self.made: list[tuple[int, Tensor, Tensor, Tensor, Tensor]] = []

    @abstractmethod
    def run(self, first: int, limits: Tensor) -> Tensor:
        """Speak some steps.

        Args:
            first: the number of the first.
            limits: ``(rows,)``, steps after which each ends.

        Returns:
            the stop token's logits ``(steps, rows)``.
        """

    def leave(self, ends: Tensor, finished: Tensor, steps: Tensor) -> None:
        """Drop the rows that end, ``(rows,)`` bool, by their own will or not, after so many steps."""
        gone = self.rows[ends]
        self.steps[gone], self.finished[gone] = steps[ends], finished[ends]
        stay = ~ends
        for name in self._ROWS:
            setattr(self, name, getattr(self, name)[stay])
        self.attended = Attended(*(part[stay] for part in self.attended))
        self.state = tuple(part[:, stay] for part in self.state)

    def collected(self) -> tuple[Tensor, Tensor, Tensor]:
        """Frames ``(batch, frames, mels)``, stop logits and alignments of all utterances; anything past their ends."""
        batch, steps = len(self.steps), int(self.steps.max())
        _, _, frames, logits, weights = self.made[0]
        all_frames = frames.new_zeros(batch, steps, frames.shape[2])
        stop_logits, alignments = logits.new_zeros(batch, steps), weights.new_zeros(batch, steps, self.tokens)
        for first, rows, frames, logits, weights in self.made:
            last = min(steps, first + len(frames))
            part = slice(0, last - first)
            all_frames[rows, first:last] = frames[part].transpose(0, 1)
            stop_logits[rows, first:last] = logits[part].t()
            alignments[rows, first:last] = weights[part].transpose(0, 1)
        factor = self.decoder.reduction_factor
        return all_frames.unflatten(2, (factor, -1)).flatten(1, 2), stop_logits, alignments

    @property
    def tokens(self) -> int:
        """The length of the longest text, padding included."""
        return self.values.shape[1]


class TorchLoop(SynthesisLoop):
    """One step at a time in torch operations, on any device."""

    def run(self, first: int, limits: Tensor) -> Tensor:
        decoder, cell = self.decoder, self.decoder.attention_rnn
        seen = decoder.prenet(self.frame[:, None], self.seeds, first)[:, 0]
        gates = F.linear(torch.cat((seen, self.context), dim=1), cell.weight_ih, cell.bias_ih)
        recurrent = F.linear(self.hidden, cell.weight_hh, cell.bias_hh)
        self.hidden, self.cell = lstm_step(gates, recurrent, (self.hidden, self.cell))
        mask = length_mask(self.lengths, self.tokens)
        self.context, self.attended = decoder.attention.step(self.hidden, self.keys, self.values, mask, self.attended)
        output, self.state = decoder.decoder_rnn.step(torch.cat((self.hidden, self.context), dim=1), self.state)
        read = torch.cat((output, self.context), dim=1)
        frames, logits = decoder.projection(read), decoder.stop(read)[:, 0]
        self.frame = frames[:, -decoder.num_mels :]
        self.made.append((first, self.rows, frames[None], logits[None], self.attended.weights[None]))
        return logits[None]


def can_run(decoder: Tacotron2Decoder, memory: Memory) -> bool:
    """Whether the compiled kernel can speak these texts."""
    weight, attention = decoder.projection.weight, decoder.attention
    sizes = (decoder.attention_rnn.hidden_size, memory.values.shape[2], len(attention.bias), decoder.prenet_size)
    return (
        len(decoder.prenet.layers) > 0
        and not torch.is_grad_enabled()
        and memory.values.dtype in (torch.float32, torch.bfloat16)
        and native_steps(weight, *sizes) is not None
    )


class NativeLoop(SynthesisLoop):
    """Blocks of steps in the compiled kernel, with float32 states and weights of autocast's type."""

    def __init__(self, decoder: Tacotron2Decoder, memory: Memory, seeds: Tensor) -> None:
        super().__init__(decoder, Memory(memory.values.float(), memory.lengths), seeds)
        self.keys = self.keys.float()
        self.weights = packed_weights(decoder)
        attention = decoder.attention
        self.sizes = {
            "hidden": decoder.attention_rnn.hidden_size,
            "memory": self.values.shape[2],
            "size": len(attention.bias),
            "kernel": attention.location_conv.shape[2],
            "only_forward": int(attention.only_forward),
            "bfloat16": int(self.weights.tensors["recurrent"].dtype == torch.bfloat16),
            "mels": decoder.num_mels,
            "outputs": decoder.num_mels * decoder.reduction_factor + 1,
            "prenet": decoder.prenet.size,
            "prenet_layers": len(decoder.prenet.layers),
        }

    def run(self, first: int, limits: Tensor) -> Tensor:
        rows = len(self.rows)
        steps = min(BLOCK_STEPS, int(limits.max()) - first)
        masks = self.decoder.prenet.masks(self.seeds, first, steps)
        if masks is None:
            dropout = [None] * len(self.weights.prenet)
        else:
            dropout = [mask.transpose(0, 1).contiguous() for mask in masks]
        made = self.values.new_empty(steps, rows, self.sizes["outputs"])
        weights = self.values.new_empty(steps, rows, self.tokens)
        state, cell = (part[0].clone() for part in self.state)  # a state may begin as one tensor twice
        threshold = self.decoder.stop_threshold
        tensors = {
            **self.weights.tensors,
            **{"lengths": self.lengths, "keys": self.keys, "values": self.values, "limits": limits - first},
            **{"hidden_state": self.hidden, "cell": self.cell, "context": self.context, "frame": self.frame},
            **{"weights": self.attended.weights, "cumulative": self.attended.cumulative, "all_weights": weights},
            **{"second_state": state, "second_cell": cell, "made": made},
        }
        done = call(
            native_steps(self.values),
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            {"prenet_weights": self.weights.prenet, "prenet_masks": dropout},
            steps=steps,
            rows=rows,
            tokens=self.tokens,
            stop_logit=math.log(threshold / (1 - threshold)) if threshold < 1 else math.inf,
            **self.sizes,
        )
        self.state = (state[None], cell[None])
        frames, logits = made[:done, :, :-1], made[:done, :, -1]
        self.made.append((first, self.rows, frames, logits, weights[:done]))
        return logits


class PackedWeights:
    """A decoder's weights in the order in which the kernel reads them."""

    def __init__(self, decoder: Tacotron2Decoder, dtype: torch.dtype) -> None:
        first, attention = decoder.attention_rnn, decoder.attention
        second_ih, second_hh, second_bias, more_bias = (
            weight.detach() for weight in decoder.decoder_rnn.all_weights[0]
        )
        projection = torch.cat((decoder.projection.weight, decoder.stop.weight)).detach()
        self.prenet = [packed_linear(weight, dtype) for weight in decoder.prenet.parameters()]
        self.tensors = {
            "recurrent": packed_gates(torch.cat((first.weight_ih, first.weight_hh), dim=1), dtype),
            "query": packed_linear(attention.query_weight, dtype),
            "location": packed_location(attention.location_kernel()),
            "score": attention.score_weight.detach(),
            "second": packed_gates(torch.cat((second_ih, second_hh), dim=1), dtype),
            "projection": packed_linear(projection, dtype),
            "bias": (first.bias_ih + first.bias_hh).detach(),
            "second_bias": second_bias + more_bias,
            "projection_bias": torch.cat((decoder.projection.bias, decoder.stop.bias)).detach(),
        }


def packed_weights(decoder: Tacotron2Decoder) -> PackedWeights:
    """The decoder's weights, packed once for as long as they do not change."""
    autocast = torch.is_autocast_enabled("cpu")
    dtype = torch.bfloat16 if autocast and torch.get_autocast_dtype("cpu") == torch.bfloat16 else torch.float32
    key = (dtype, *((parameter.data_ptr(), parameter._version) for parameter in decoder.parameters()))
    if decoder.packed is None or decoder.packed[0] != key:
        with torch.autocast("cpu", enabled=False):
            decoder.packed = (key, PackedWeights(decoder, dtype))
    return decoder.packed[1]
