"""Where a recurrent decoder begins."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from s2s_core.nn.mask import length_mask
from s2s_core.nn.recurrent_stack import LayerState, RecurrentLayers
from s2s_nmt.interfaces import Memory

StartName = Literal["zeros", "copy", "bridge"]


class DecoderStart(nn.Module):
    """The decoder's state before its first token.

    ``zeros`` starts from nothing. ``copy`` takes the encoder's final state, layer by layer (Sutskever et al. 2014);
    encoder and decoder must have as many layers of one size and cell. ``bridge`` is ``tanh(W m + b)``, in which ``m``
    is the final state of the encoder's highest layer (Bahdanau et al. 2015 take the backward half of it), or the mean
    of its frames where an encoder has no state: it goes with any encoder.

    Args:
        start: which.
        rnn: the decoder's layers.
        in_features: the feature size of the memory.

    Raises:
        ValueError: for another name.
    """

    def __init__(self, start: StartName, rnn: RecurrentLayers, in_features: int) -> None:
        super().__init__()
        if start not in ("zeros", "copy", "bridge"):
            raise ValueError(f"start must be zeros, copy or bridge, got {start!r}")
        self.start = start
        self.rnn = rnn
        self.bridge = nn.Linear(in_features, rnn.num_layers * self._size) if start == "bridge" else None

    @property
    def _size(self) -> int:
        return self.rnn.num_states * self.rnn.hidden_size

    def forward(self, memory: Memory) -> list[LayerState]:
        """Return each layer's state, rows as in the memory.

        Raises:
            ValueError: if a final state is to be copied and there is none, or it has another shape.
        """
        batch = len(memory.lengths)
        if self.bridge is not None:
            summary = _summary(memory, self.bridge.in_features)
            joined = torch.tanh(self.bridge(summary)).unflatten(1, (self.rnn.num_layers, -1)).transpose(0, 1)
        elif self.start == "copy":
            joined = self._copied(memory)
        else:
            joined = memory.values.new_zeros(self.rnn.num_layers, batch, self._size)
        joined = joined if joined.dtype == torch.float64 else joined.float()
        return [layer.chunk(self.rnn.num_states, dim=1) for layer in joined]

    def _copied(self, memory: Memory) -> Tensor:
        wanted = (self.rnn.num_layers, self._size)
        if memory.final is None:
            raise ValueError("start copy: the encoder has no final state; use bridge")
        found = (memory.final.shape[0], memory.final.shape[2])
        if found != wanted:
            raise ValueError(
                f"start copy: the encoder ends with {found[0]} layers of {found[1]} numbers, "
                f"the decoder has {wanted[0]} of {wanted[1]}; use bridge"
            )
        return memory.final


def _summary(memory: Memory, features: int) -> Tensor:
    if memory.final is not None and memory.final.shape[2] >= features:
        return memory.final[-1, :, :features]  # an LSTM's cell lies behind its hidden state
    mask = length_mask(memory.lengths, memory.values.shape[1])
    return (memory.values * mask[..., None]).sum(1) / memory.lengths[:, None]
