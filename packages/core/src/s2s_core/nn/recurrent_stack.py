"""Stacks of recurrent layers of any cell, with dropout and skip connections, over packed frames or step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from s2s_core.nn.cells import wide
from s2s_core.nn.dropout import dropout
from s2s_core.nn.layer_norm_lstm import LayerNormLstm
from s2s_core.nn.rnn import Recurrent

CellName = Literal["lstm", "gru", "layer_norm_lstm"]

LayerState = tuple[Tensor, ...]
"""``(hidden,)`` of a GRU, ``(hidden, cell)`` of an LSTM, each ``(batch, size)``; of two directions, side by side."""


@dataclass
class RecurrentLayers:
    """What the layers of a recurrent encoder or decoder have in common."""

    hidden_size: int = 512
    """The size of a direction's state."""
    num_layers: int = 2
    cell: CellName = "lstm"
    residual: bool = False
    """Skip connections around layers, where a model's own page says."""
    input_dropout: float = 0.0
    """Drop probability of every layer's input."""
    output_dropout: float = 0.0
    """Drop probability of every layer's output."""
    init_range: float | None = None
    """Matrices start uniform in plus or minus this; if not given, Glorot-uniform. Biases start at zero."""
    forget_bias: float = 1.0
    """What the bias of an LSTM's forget gate starts with."""

    def __post_init__(self) -> None:
        for name in ("hidden_size", "num_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.cell not in CELL_STATES:
            raise ValueError(f"cell must be one of {', '.join(CELL_STATES)}; got {self.cell!r}")
        for name in ("input_dropout", "output_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @property
    def num_states(self) -> int:
        """How many tensors a layer's state has."""
        return CELL_STATES[self.cell]


CELL_STATES: dict[str, int] = {"lstm": 2, "gru": 1, "layer_norm_lstm": 2}


class RecurrentStack(nn.Module):
    """Layers on top of one another.

    Args:
        layers: their size, cell and dropouts.
        in_features: the size of an input frame.
        num_layers: how many, instead of the number in ``layers``.
        bidirectional: whether each also runs backwards; the next is fed with both directions. (OpenSeq2Seq's
            bidirectional encoder runs two separate stacks and joins their ends.)
        skips: the layers, counted from 0, whose input is added to their output: its first features where it has more
            (as in OpenSeq2Seq's GNMT decoder, where the rest is the attention's context).
    """

    def __init__(
        self,
        layers: RecurrentLayers,
        in_features: int,
        num_layers: int | None = None,
        bidirectional: bool = False,
        skips: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.settings = layers
        self.bidirectional = bidirectional
        self.out_features = layers.hidden_size * (2 if bidirectional else 1)
        self.skips = frozenset(skips)
        count = layers.num_layers if num_layers is None else num_layers
        self.layers = nn.ModuleList()
        for i in range(count):
            size = in_features if i == 0 else self.out_features
            if i in self.skips and size < self.out_features:
                raise ValueError(f"layer {i} has {size} inputs and cannot skip to its {self.out_features} outputs")
            self.layers.append(_layer(layers.cell, size, layers.hidden_size, bidirectional))
        _start(self, layers)

    def initial_state(self, batch: int, like: Tensor) -> list[LayerState]:
        """Zeros on the device of ``like``, float32 unless that is float64."""
        zeros = wide(like.new_zeros(batch, self.out_features))
        return [(zeros,) * self.settings.num_states for _ in self.layers]

    def forward(
        self, data: Tensor, batch_sizes: list[int], state: list[LayerState] | None = None
    ) -> tuple[Tensor, list[LayerState]]:
        """Run over frames in the order of `StepOrder`.

        Args:
            data: ``(frames, in_features)``.
            batch_sizes: rows that are active at each step.
            state: where each layer begins, rows sorted; zeros if not given.

        Returns:
            outputs ``(frames, out_features)`` and each layer's state at each row's end.
        """
        begin = self.initial_state(batch_sizes[0], data) if state is None else state
        ends: list[LayerState] = []
        for i, layer in enumerate(self._each()):
            inside = tuple(self._by_direction(part).to(data.dtype if data.is_cuda else part.dtype) for part in begin[i])
            out, end = layer.packed(self.drop_input(data), batch_sizes, inside)
            ends.append(tuple(wide(part.transpose(0, 1).flatten(1)) for part in end))
            data = self.leave(i, data, out)
        return data, ends

    def step(self, x: Tensor, state: list[LayerState]) -> tuple[Tensor, list[LayerState]]:
        """Take one frame a row, ``(rows, in_features)``."""
        ends: list[LayerState] = []
        for i, layer in enumerate(self._each()):
            out, end = layer.step(self.drop_input(x), tuple(part[None] for part in state[i]))
            ends.append(tuple(part[0] for part in end))
            x = self.leave(i, x, out)
        return x, ends

    def _each(self) -> list[Recurrent | LayerNormLstm]:
        return [layer for layer in self.layers if isinstance(layer, Recurrent | LayerNormLstm)]

    def drop_input(self, x: Tensor) -> Tensor:
        """Dropout of a layer's input."""
        return dropout(x, self.settings.input_dropout, self.training)

    def leave(self, i: int, x: Tensor, out: Tensor) -> Tensor:
        """What layer ``i`` hands on: its output after dropout, and its input where it is skipped."""
        out = dropout(out, self.settings.output_dropout, self.training)
        return out + x[:, : self.out_features] if i in self.skips else out

    def _by_direction(self, part: Tensor) -> Tensor:
        return part.unflatten(1, (2 if self.bidirectional else 1, -1)).transpose(0, 1).contiguous()


def _layer(cell: CellName, in_features: int, hidden_size: int, bidirectional: bool) -> nn.Module:
    if cell == "layer_norm_lstm":
        return LayerNormLstm(in_features, hidden_size, bidirectional)
    return Recurrent(cell, in_features, hidden_size, bidirectional=bidirectional)


def start_matrices(module: nn.Module, layers: RecurrentLayers) -> None:
    """Give every matrix of a module its initial value: embeddings and attention, too, start as the layers do."""
    for parameter in module.parameters():
        if parameter.dim() > 1 and layers.init_range is not None:
            nn.init.uniform_(parameter, -layers.init_range, layers.init_range)


def _start(stack: nn.Module, layers: RecurrentLayers) -> None:
    for name, parameter in stack.named_parameters():
        kind = name.rsplit(".", 1)[-1]
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
        elif kind.startswith("bias"):
            nn.init.zeros_(parameter)
            if layers.cell != "gru" and not kind.startswith("bias_hh"):
                with torch.no_grad():
                    parameter[layers.hidden_size : 2 * layers.hidden_size] += layers.forget_bias
    start_matrices(stack, layers)
