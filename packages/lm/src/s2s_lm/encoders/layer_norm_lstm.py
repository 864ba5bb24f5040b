"""OpenSeq2Seq's own recurrent language model: LSTM cells with layer norm inside, weight drop and recurrent dropout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.dropout import dropout
from s2s_lm.dropout import check_probabilities
from s2s_lm.encoders.recurrence import EMBEDDING_RANGE, Recurrence
from s2s_lm.interfaces import State
from s2s_lm.packing import Packing


@dataclass
class CellDropout:
    """Drop probabilities; the defaults are those of OpenSeq2Seq's WikiText-2 config."""

    embedding: float = 0.63
    """Of features of the embeddings."""
    outputs: float = 0.4
    """After each layer."""
    candidate: float = 0.3
    """Of the cell's candidate values at each step (recurrent dropout, Semeniuta et al. 2016)."""
    weights: float = 0.0
    """Of recurrent weights."""


class LayerNormLstmLayer(nn.Module):
    """An LSTM layer with layer norm of each gate and of the cell (Ba et al. 2016, section 3.1 and its supplement).

    The gates are normed before their non-linearities and ``forget_bias`` is added after the norm, as in TensorFlow's
    ``LayerNormBasicLSTMCell``, from which OpenSeq2Seq's cell derives. Norms stand between the steps, so no fused kernel
    serves it: steps run one by one.
    """

    def __init__(self, in_features: int, hidden_size: int, dropout: CellDropout, forget_bias: float) -> None:
        super().__init__()
        self.hidden_size, self.dropout, self.forget_bias = hidden_size, dropout, forget_bias
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, in_features))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.gain = nn.Parameter(torch.ones(4, hidden_size))
        self.shift = nn.Parameter(torch.zeros(4, hidden_size))
        self.cell_gain = nn.Parameter(torch.ones(hidden_size))
        self.cell_shift = nn.Parameter(torch.zeros(hidden_size))
        for weight in (self.weight_ih, self.weight_hh):
            nn.init.uniform_(weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)

    def forward(self, frames: Tensor, packing: Packing, state: State) -> tuple[Tensor, State]:
        hidden, cell = (packing.sort(part) for part in state)
        dropping = self.training and self.dropout.weights > 0
        recurrent = dropout(self.weight_hh, self.dropout.weights) if dropping else self.weight_hh
        outputs = []
        for inputs in F.linear(frames, self.weight_ih).split(packing.batch_sizes):
            rows = len(inputs)
            now, memory = self._step(inputs, F.linear(hidden[:rows].to(frames.dtype), recurrent), cell[:rows])
            outputs.append(now.to(frames.dtype))
            hidden = torch.cat([now, hidden[rows:]]) if rows < len(hidden) else now
            cell = torch.cat([memory, cell[rows:]]) if rows < len(cell) else memory
        joined = torch.cat(outputs) if outputs else frames.new_zeros(0, self.hidden_size)
        return joined, (packing.unsort(hidden), packing.unsort(cell))

    def _step(self, inputs: Tensor, recurrent: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        sums = (inputs + recurrent).unflatten(1, (4, self.hidden_size)).to(cell.dtype)
        normed = F.layer_norm(sums, (self.hidden_size,)) * self.gain + self.shift
        let_in, candidate, forget, let_out = normed.unbind(1)
        new = dropout(torch.tanh(candidate), self.dropout.candidate, self.training)
        memory = cell * torch.sigmoid(forget + self.forget_bias) + torch.sigmoid(let_in) * new
        memory = F.layer_norm(memory, (self.hidden_size,)) * self.cell_gain + self.cell_shift
        return torch.tanh(memory) * torch.sigmoid(let_out), memory


class LayerNormLstmEncoder(Recurrence):
    """OpenSeq2Seq's ``LMEncoder`` with ``WeightDropLayerNormBasicLSTMCell``.

    Unlike OpenSeq2Seq, whose segments each begin with an empty state, it carries the state from segment to segment.

    Args:
        vocab_size: the number of tokens.
        embedding_size: of a token.
        hidden_size: of each layer's state; of the last one's only where not ``tied``.
        layers: how many.
        tied: give the last layer the embeddings' size, so that an output layer can share them.
        dropout: where and how much to drop.
        forget_bias: added to the forget gate.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int = 256,
        hidden_size: int = 896,
        layers: int = 3,
        tied: bool = True,
        dropout: CellDropout | None = None,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        drop = dropout or CellDropout()
        check_probabilities(
            embedding=drop.embedding, outputs=drop.outputs, candidate=drop.candidate, weights=drop.weights
        )
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}")
        sizes = [hidden_size] * (layers - 1) + [embedding_size if tied else hidden_size]
        self.sizes, self.drop, self.out_features = sizes, drop, sizes[-1]
        self._embed(vocab_size, embedding_size)
        inputs = [embedding_size, *sizes[:-1]]
        self.layers = nn.ModuleList(
            LayerNormLstmLayer(i, h, drop, forget_bias) for i, h in zip(inputs, sizes, strict=True)
        )

    @classmethod
    def examples(cls) -> list[LayerNormLstmEncoder]:
        return [cls(11, 6, 8, 2, dropout=CellDropout(0.0, 0.0, 0.0, 0.0))]

    def forward(self, tokens: Tensor, state: State, lengths: list[int] | None = None) -> tuple[Tensor, State]:
        packing = Packing(tokens.size(0), tokens.size(1), lengths, tokens.device)
        frames = F.embedding(packing.pack(tokens), self.embedding.weight)
        frames = dropout(frames, self.drop.embedding, self.training)
        after: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            frames, ends = layer(frames, packing, state[2 * number : 2 * number + 2])
            frames = dropout(frames, self.drop.outputs, self.training)
            after += ends
        return packing.unpack(frames), tuple(after)
