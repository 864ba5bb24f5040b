"""GRU and LSTM layers over sequences of different lengths, for which padding does not exist."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from s2s_core.nn.cells import gru_step, lstm_step
from s2s_core.nn.dropout import dropout
from s2s_core.nn.linear import linear
from s2s_core.nn.recurrence import recurrence

State = tuple[Tensor, ...]
"""``(hidden,)`` of a GRU, ``(hidden, cell)`` of an LSTM, each ``(layers * directions, batch, hidden_size)``."""


RnnType = Literal["gru", "lstm"]
"""GRU (Cho et al. 2014; its reset gate acts after the matrix, as in cuDNN) or LSTM (Gers et al. 2000)."""

STATES = {"gru": 1, "lstm": 2}
"""How many tensors a state has."""
STEP = {"gru": gru_step, "lstm": lstm_step}
"""A step of each cell."""


class Recurrent(nn.RNNBase):
    """Recurrent layers in which each row of a batch begins and ends where its own sequence does.

    The backward direction starts at a row's true end and the final state is the one there, so neither outputs nor
    states depend on padding or on the other rows. (OpenSeq2Seq ran its cuDNN layers over the padding, issue #69.)

    Parameters have the names, shapes and initial values of ``torch.nn.GRU`` and ``torch.nn.LSTM``. On the CPU the
    layers run in `s2s_core.nn.recurrence`, several times faster than torch's; elsewhere in cuDNN or what the device
    has, on packed sequences: one kernel call for all layers, against two calls and two reversals of the whole
    activations a layer when padded rows are reversed by length, and nothing is computed for padding.

    Args:
        rnn_type: the cell.
        in_features: the size of an input frame.
        hidden_size: the size of a direction's state.
        num_layers: layers, each fed with both directions of the one before.
        bidirectional: whether each layer also runs backwards.
        dropout: drop probability between layers.

    Raises:
        ValueError: for a cell of another name, a size that is not positive or a dropout outside [0, 1].
    """

    def __init__(
        self,
        rnn_type: RnnType,
        in_features: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        if rnn_type not in ("gru", "lstm"):
            raise ValueError(f"rnn_type must be gru or lstm, not {rnn_type!r}")
        between_layers = dropout if num_layers > 1 else 0.0  # torch warns of a dropout that has no place
        super().__init__(
            rnn_type.upper(),
            in_features,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=between_layers,
            bidirectional=bidirectional,
        )
        self.rnn_type: RnnType = rnn_type
        self.out_features = hidden_size * (2 if bidirectional else 1)

    @torch.compiler.disable()  # packing fails for symbolic sizes, and there is nothing to gain: it is one fused loop
    def forward(self, inputs: Tensor, lengths: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over ``(batch, time, in_features)``.

        Args:
            inputs: frames; what lies after a row's end is not read.
            lengths: ``(batch,)``, frames of each row. A row of length 0 keeps its initial state.
            state: where to begin; zeros if not given.

        Returns:
            outputs ``(batch, time, out_features)``, zero after each row's end, and the state at each row's end.
        """
        counts = lengths.cpu()  # packing needs the lengths on the host
        packed = pack_padded_sequence(inputs, counts.clamp(min=1), batch_first=True, enforce_sorted=False)
        initial = self.initial_state(inputs.size(0), inputs) if state is None else state
        order = packed.sorted_indices
        begin = initial if order is None else tuple(part.index_select(1, order) for part in initial)
        data, final = self.packed(packed.data, packed.batch_sizes.tolist(), begin)
        back = packed.unsorted_indices
        ends = final if back is None else tuple(part.index_select(1, back) for part in final)
        outputs, _ = pad_packed_sequence(
            PackedSequence(data, packed.batch_sizes, order, back), batch_first=True, total_length=inputs.size(1)
        )
        if int(counts.min()) > 0:
            return outputs, ends
        empty = lengths == 0
        kept = tuple(
            torch.where(empty[None, :, None], old.to(new), new) for old, new in zip(initial, ends, strict=True)
        )
        return outputs.masked_fill(empty[:, None, None], 0.0), kept

    def initial_state(self, batch: int, like: Tensor) -> State:
        """Zeros of the device and dtype of ``like``."""
        directions = 2 if self.bidirectional else 1
        zeros = like.new_zeros(self.num_layers * directions, batch, self.hidden_size)
        return (zeros,) * STATES[self.rnn_type]

    @torch.compiler.disable()  # it would be compiled anew for every list of sizes
    def packed(self, data: Tensor, batch_sizes: list[int], state: State) -> tuple[Tensor, State]:
        """Run over frames ``(frames, in_features)`` in the order of `StepOrder`, the state's rows sorted alike."""
        if data.device.type == "cpu":
            return self._run_on_cpu(data, batch_sizes, state)
        options = (True, self.num_layers, self.dropout, self.training, self.bidirectional)
        weights = [weight for weight in self._flat_weights if weight is not None]
        sizes = torch.tensor(batch_sizes)
        if self.rnn_type == "gru":
            data, hidden = torch.gru(data, sizes, state[0], weights, *options)
            return data, (hidden,)
        data, hidden, cell = torch.lstm(data, sizes, state, weights, *options)
        return data, (hidden, cell)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one frame a row, ``(rows, in_features)``, without dropout; not for two directions."""
        if self.bidirectional:
            raise ValueError("step: a bidirectional layer has no next frame")
        ends: list[State] = []
        for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(self.all_weights):
            before = tuple(part[layer] for part in state)
            gates, recurrent = F.linear(x, w_ih, b_ih), F.linear(before[0].to(x.dtype), w_hh, b_hh)
            ends.append(STEP[self.rnn_type](gates, recurrent, before))
            x = ends[-1][0].to(x.dtype)
        return x, tuple(torch.stack(parts) for parts in zip(*ends, strict=True))

    def _run_on_cpu(self, data: Tensor, batch_sizes: list[int], state: State) -> tuple[Tensor, State]:
        directions = 2 if self.bidirectional else 1
        ends: list[State] = []
        for layer, weights in enumerate(self.all_weights[i : i + directions] for i in self._layer_starts()):
            if layer and self.dropout:
                data = dropout(data, self.dropout, self.training)
            gates = [linear(data, w_ih, b_ih) for w_ih, _, b_ih, _ in weights]
            begin = tuple(part[layer * directions : (layer + 1) * directions] for part in state)
            recurrent = [(w_hh, b_hh) for _, w_hh, _, b_hh in weights]
            data, end = recurrence(self.rnn_type, gates, recurrent, begin, batch_sizes)
            ends.append(end)
        return data, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))

    def _layer_starts(self) -> range:
        return range(0, len(self.all_weights), 2 if self.bidirectional else 1)
