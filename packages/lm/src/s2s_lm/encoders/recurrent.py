"""Recurrent language models: plain LSTM or GRU, and AWD-LSTM."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.dropout import dropout
from s2s_core.nn.rnn import RnnType
from s2s_lm.dropout import check_probabilities, embed, locked_dropout
from s2s_lm.encoders.recurrence import Recurrence
from s2s_lm.interfaces import State
from s2s_lm.packing import Packing
from s2s_lm.recurrent_layer import RecurrentLayer


class RecurrentEncoder(Recurrence):
    """LSTM or GRU layers over embeddings, with ordinary dropout (Zaremba et al. 2014).

    Args:
        vocab_size: the number of tokens.
        embedding_size: of a token; also the size of the encodings where ``tied``.
        hidden_size: of each layer's state.
        layers: how many.
        rnn_type: ``lstm`` or ``gru``.
        dropout: drop probability before, between and after the layers.
        tied: give the last layer the embeddings' size, so that an output layer can share them.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int = 400,
        hidden_size: int = 1150,
        layers: int = 3,
        rnn_type: RnnType = "lstm",
        dropout: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__()
        check_probabilities(dropout=dropout)
        self._build(vocab_size, embedding_size, [hidden_size] * layers, rnn_type, tied, 0.0)
        self.dropout = dropout

    def _build(
        self, vocab_size: int, embedding_size: int, sizes: list[int], rnn_type: RnnType, tied: bool, weight: float
    ) -> None:
        if not sizes:
            raise ValueError("layers must be at least 1, got 0")
        self.rnn_type, self.parts = rnn_type, 2 if rnn_type == "lstm" else 1
        self._embed(vocab_size, embedding_size)
        sizes = [*sizes[:-1], embedding_size] if tied else sizes
        inputs = [embedding_size, *sizes[:-1]]
        self.layers = nn.ModuleList(RecurrentLayer(rnn_type, i, h, weight) for i, h in zip(inputs, sizes, strict=True))
        self.sizes, self.out_features = sizes, sizes[-1]

    @classmethod
    def examples(cls) -> list[RecurrentEncoder]:
        return [cls(11, 6, 8, 2), cls(11, 6, 7, 1, "gru", tied=False)]

    def forward(self, tokens: Tensor, state: State, lengths: list[int] | None = None) -> tuple[Tensor, State]:
        packing = Packing(tokens.size(0), tokens.size(1), lengths, tokens.device)
        frames = self._enter(packing.pack(tokens), packing)
        after: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            before = state[number * self.parts : (number + 1) * self.parts]
            raw, ends = layer(frames, packing, _for_kernel(before, frames))
            after += [end.to(part.dtype) for end, part in zip(ends, before, strict=True)]
            frames = self._leave(raw, packing, last=number == len(self.layers) - 1)
        return packing.unpack(frames), tuple(after)

    def _enter(self, tokens: Tensor, packing: Packing) -> Tensor:
        return dropout(F.embedding(tokens, self.embedding.weight), self.dropout, self.training)

    def _leave(self, raw: Tensor, packing: Packing, last: bool) -> Tensor:
        return dropout(raw, self.dropout, self.training)


@dataclass
class AwdDropout:
    """Drop probabilities of AWD-LSTM; the defaults are those published for WikiText-2."""

    word: float = 0.1
    """Of a whole word's embedding, wherever it occurs in the segment."""
    inputs: float = 0.65
    """Of features of the embeddings, the same for all steps of a row; so are the next two."""
    hidden: float = 0.2
    """Between layers."""
    outputs: float = 0.4
    """After the last layer."""
    weights: float = 0.5
    """Of recurrent weights."""


class AwdLstmEncoder(RecurrentEncoder):
    """AWD-LSTM (Merity et al. 2018, https://arxiv.org/abs/1708.02182): an LSTM dropped in every way.

    In training, `penalty` holds activation regularisation (of the last layer's dropped outputs) and temporal activation
    regularisation (of the undropped outputs' steps) after each forward pass. OpenSeq2Seq's models have neither; it
    also does not carry the state.

    Args:
        vocab_size, embedding_size, hidden_size, layers, rnn_type, tied: see `RecurrentEncoder`.
        dropout: where and how much to drop.
        activation_penalty: weight of the mean square of the dropped outputs (alpha).
        temporal_penalty: weight of the mean square of the outputs' change from step to step (beta).
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int = 400,
        hidden_size: int = 1150,
        layers: int = 3,
        rnn_type: RnnType = "lstm",
        tied: bool = True,
        dropout: AwdDropout | None = None,
        activation_penalty: float = 2.0,
        temporal_penalty: float = 1.0,
    ) -> None:
        nn.Module.__init__(self)
        drop = dropout or AwdDropout()
        check_probabilities(
            word=drop.word, inputs=drop.inputs, hidden=drop.hidden, outputs=drop.outputs, weights=drop.weights
        )
        self._build(vocab_size, embedding_size, [hidden_size] * layers, rnn_type, tied, drop.weights)
        self.drop = drop
        self.activation_penalty, self.temporal_penalty = activation_penalty, temporal_penalty

    @classmethod
    def examples(cls) -> list[RecurrentEncoder]:
        none = AwdDropout(0.0, 0.0, 0.0, 0.0, 0.0)
        return [cls(11, 6, 8, 2, dropout=none), cls(11, 6, 8, 2, "gru", False, none, 0.0, 0.0)]

    def _enter(self, tokens: Tensor, packing: Packing) -> Tensor:
        if not self.training:
            return F.embedding(tokens, self.embedding.weight)
        return locked_dropout(embed(self.embedding, tokens, self.drop.word), packing, self.drop.inputs)

    def _leave(self, raw: Tensor, packing: Packing, last: bool) -> Tensor:
        if not self.training:
            return raw
        dropped = locked_dropout(raw, packing, self.drop.outputs if last else self.drop.hidden)
        if last:
            self.penalty = self._penalty(raw, dropped, packing)
        return dropped

    def _penalty(self, raw: Tensor, dropped: Tensor, packing: Packing) -> Tensor | None:
        total = None
        if self.activation_penalty:
            total = self.activation_penalty * dropped.float().square().mean()
        steps = packing.unpack(raw)
        if self.temporal_penalty and steps.size(1) > 1:
            change = (steps[:, 1:] - steps[:, :-1]).float().square()
            if not packing.full:  # the step over a row's end is none
                change = change * packing.unpack(torch.ones_like(raw[:, :1]))[:, 1:]
                temporal = change.sum() / max(1, (raw.size(0) - packing.batch_sizes[0]) * raw.size(1))
            else:
                temporal = change.mean()
            total = self.temporal_penalty * temporal + (0.0 if total is None else total)
        return total


def _for_kernel(state: State, frames: Tensor) -> State:
    # cuDNN wants the state in the type of its inputs; the kernels of the host keep it in float32
    if not frames.is_cuda or torch.is_autocast_enabled("cuda"):
        return state
    return tuple(part.to(frames.dtype) for part in state)
