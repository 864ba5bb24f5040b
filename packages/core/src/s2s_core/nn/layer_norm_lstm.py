"""The LSTM whose products and cell are normalised."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.cells import Steps, wide
from s2s_core.nn.linear import linear

State = tuple[Tensor, ...]


class LayerNormLstm(nn.Module):
    """One LSTM layer with layer normalisation (Ba et al. 2016, equations 20 to 22), forwards or both ways.

    ``LN(W_x x) + LN(W_h h) + b`` make the gates, ``LN(c)`` the output. One bias serves the two norms, whose own would
    only add to it. The inputs' share is computed for all steps at once; the rest is a loop over steps.
    TensorFlow's ``LayerNormBasicLSTMCell``, OpenSeq2Seq's, normalises each gate of the sum instead.

    Args:
        in_features: the size of an input frame.
        hidden_size: the size of a direction's state.
        bidirectional: whether the layer also runs backwards.
    """

    def __init__(self, in_features: int, hidden_size: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.out_features = hidden_size * (2 if bidirectional else 1)
        self.directions = nn.ModuleList(
            _Direction(in_features, hidden_size, reverse) for reverse in ((False, True) if bidirectional else (False,))
        )

    def packed(self, data: Tensor, batch_sizes: list[int], state: State) -> tuple[Tensor, State]:
        """Run over frames as `Recurrent.packed` does; the state is ``(directions, batch, hidden_size)`` twice."""
        runs = [direction(data, batch_sizes, (state[0][i], state[1][i])) for i, direction in enumerate(self.directions)]
        outputs = torch.cat([out for out, _, _ in runs], dim=1)
        return outputs, (torch.stack([h for _, h, _ in runs]), torch.stack([c for _, _, c in runs]))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Take one frame a row, ``(rows, in_features)``; not for two directions."""
        if self.bidirectional:
            raise ValueError("step: a bidirectional layer has no next frame")
        direction = self.directions[0]
        assert isinstance(direction, _Direction)
        hidden, cell = direction.step(direction.gates(x), state[0][0], state[1][0])
        return hidden, (hidden[None], cell[None])


class _Direction(nn.Module):
    def __init__(self, in_features: int, hidden_size: int, reverse: bool) -> None:
        super().__init__()
        self.reverse = reverse
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, in_features))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(4 * hidden_size))
        self.gain_ih = nn.Parameter(torch.ones(4 * hidden_size))
        self.gain_hh = nn.Parameter(torch.ones(4 * hidden_size))
        self.norm = nn.LayerNorm(hidden_size)
        nn.init.xavier_uniform_(self.weight_ih)
        nn.init.xavier_uniform_(self.weight_hh)

    def gates(self, x: Tensor) -> Tensor:
        """The inputs' share."""
        return F.layer_norm(wide(linear(x, self.weight_ih, None)), self.gain_ih.shape, self.gain_ih, self.bias)

    def step(self, gates: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        recurrent = wide(F.linear(hidden.to(self.weight_hh.dtype), self.weight_hh))
        total = gates + F.layer_norm(recurrent, self.gain_hh.shape, self.gain_hh)
        let_in, forget, new, let_out = total.chunk(4, dim=1)
        after = torch.sigmoid(forget) * cell + torch.sigmoid(let_in) * torch.tanh(new)
        return torch.sigmoid(let_out) * torch.tanh(self.norm(after)), after

    def forward(self, data: Tensor, batch_sizes: list[int], state: State) -> tuple[Tensor, Tensor, Tensor]:
        gates = self.gates(data)
        hidden, cell = state
        outputs: list[tuple[int, Tensor]] = []
        for rows, frames in Steps(batch_sizes, self.reverse).ordered():
            now, now_cell = self.step(gates[frames], hidden[:rows], cell[:rows])
            hidden, cell = torch.cat((now, hidden[rows:])), torch.cat((now_cell, cell[rows:]))
            outputs.append((frames.start, now))
        in_order = [out for _, out in sorted(outputs, key=lambda one: one[0])]
        return torch.cat(in_order), hidden, cell
