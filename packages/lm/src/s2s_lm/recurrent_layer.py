"""One recurrent layer over packed frames, with weight drop that keeps the fused kernels."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from s2s_core.nn.dropout import dropout
from s2s_core.nn.linear import linear
from s2s_core.nn.recurrence import recurrence
from s2s_core.nn.rnn import Recurrent, RnnType
from s2s_lm.interfaces import State
from s2s_lm.packing import Packing

warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")


class RecurrentLayer(Recurrent):
    """A layer of LSTM or GRU whose recurrent weights are dropped anew for each segment (DropConnect).

    The mask is drawn before the layer runs, once for all steps and rows (Merity et al. 2018,
    https://arxiv.org/abs/1708.02182, section 2), and the dropped matrix is what the kernel gets: on the CPU
    `s2s_core.nn.recurrence`, on a GPU cuDNN. Nothing steps in Python.

    Args:
        rnn_type: the cell.
        in_features: the size of an input frame.
        hidden_size: the size of the state.
        weight_dropout: drop probability of each recurrent weight.
    """

    def __init__(self, rnn_type: RnnType, in_features: int, hidden_size: int, weight_dropout: float = 0.0) -> None:
        super().__init__(rnn_type, in_features, hidden_size)
        if not 0 <= weight_dropout < 1:
            raise ValueError(f"weight_dropout must be in [0, 1), got {weight_dropout}")
        self.weight_dropout = weight_dropout

    def forward(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self, frames: Tensor, packing: Packing, state: State
    ) -> tuple[Tensor, State]:
        """Run over packed frames ``(frames, in_features)`` from a state of tensors ``(batch, hidden_size)``."""
        sizes = packing.batch_sizes
        active = sizes[0] if sizes else 0
        begin = tuple(packing.sort(part) for part in state)
        outputs, ends = self._run_layer(frames, packing, tuple(part[:active].unsqueeze(0) for part in begin))
        whole = tuple(
            end.squeeze(0) if active == packing.batch else torch.cat([end.squeeze(0), part[active:].to(end)])
            for end, part in zip(ends, begin, strict=True)
        )
        return outputs, tuple(packing.unsort(part) for part in whole)

    def _run_layer(self, frames: Tensor, packing: Packing, state: State) -> tuple[Tensor, State]:
        w_ih, w_hh, b_ih, b_hh = (w for w in self._flat_weights if w is not None)
        dropping = self.training and self.weight_dropout > 0
        if dropping:
            w_hh = dropout(w_hh, self.weight_dropout)
        if not packing.batch_sizes:
            return frames.new_zeros(0, self.hidden_size), state
        if frames.device.type == "cpu":
            gates = linear(frames, w_ih, b_ih)
            return recurrence(self.rnn_type, [gates], [(w_hh, b_hh)], state, packing.batch_sizes)
        weights = [w_ih, w_hh, b_ih, b_hh] if dropping else [w for w in self._flat_weights if w is not None]
        state = tuple(part.contiguous() for part in state)
        if packing.full:
            return self._fused(frames.unflatten(0, (packing.time, packing.batch)), state, weights)
        sizes = torch.tensor(packing.batch_sizes)
        options = (True, 1, 0.0, self.training, False)
        if self.rnn_type == "gru":
            outputs, hidden = torch.gru(frames, sizes, state[0], weights, *options)
            return outputs, (hidden,)
        outputs, hidden, cell = torch.lstm(frames, sizes, state, weights, *options)
        return outputs, (hidden, cell)

    def _fused(self, padded: Tensor, state: State, weights: list[Tensor]) -> tuple[Tensor, State]:
        options = (True, 1, 0.0, self.training, False, False)
        if self.rnn_type == "gru":
            outputs, hidden = torch.gru(padded, state[0], weights, *options)
            return outputs.flatten(0, 1), (hidden,)
        outputs, hidden, cell = torch.lstm(padded, state, weights, *options)
        return outputs.flatten(0, 1), (hidden, cell)
