"""What flows between the parts of a language model, and the parts' abstract classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from s2s_core.losses.reduction import LossSum
from s2s_core.part import Part

State = tuple[Tensor, ...]
"""What a language model carries from token to token: tensors with the batch as their first axis. Zero is the start."""


@dataclass
class SegmentBatch:
    """The next few tokens of each row; rows go on from batch to batch."""

    tokens: Tensor
    """``(batch, time)``, int64: what the model reads. Any token after a row's end."""
    targets: Tensor
    """``(batch, time)``, int64: what comes next, `IGNORED` after a row's end."""
    starts: Tensor
    """``(batch,)``, bool: rows that begin anew, whose carried state is forgotten."""
    lengths: list[int] | None
    """Tokens of each row; None if every row is full. On the host, so that a device need not be asked."""
    fresh: bool = False
    """Whether every row begins anew."""
    stretch: float = 1.0
    """The segment's length over the usual one: what a recipe with variable segments scales its learning rate by."""
    ids: list[str] = field(default_factory=list)
    """The rows' names, where each is a text of its own."""


IGNORED = -100
"""The target that counts for nothing."""


class LmEncoder(Part, nn.Module, ABC):
    """Tokens to an encoding of each, which knows the tokens up to it and none after it."""

    vocab_size: int
    out_features: int
    penalty: Tensor | None = None
    """What the last forward pass in training adds to the mean loss of its tokens, if anything."""

    @abstractmethod
    def initial_state(self, rows: int) -> State:
        """The state of ``rows`` rows before their first token."""

    @abstractmethod
    def forward(self, tokens: Tensor, state: State, lengths: list[int] | None = None) -> tuple[Tensor, State]:
        """Read some more tokens of each row.

        Args:
            tokens: ``(batch, time)``.
            state: after the tokens before. No gradient flows into it unless it asks for one.
            lengths: real tokens of each row, at most ``time``; None if all are. A row of length 0 keeps its state.

        Returns:
            encodings ``(batch, time, out_features)``, zero after each row's end, and the state at each row's end.
        """

    def tied_weight(self) -> nn.Parameter | None:
        """The token embeddings ``(vocab_size, out_features)``, if an output layer can share them."""
        return None


class LmDecoder(Part, nn.Module, ABC):
    """Encodings to the distribution of the next token. Encodings are ``(count, in_features)``: real ones only."""

    in_features: int
    vocab_size: int

    @abstractmethod
    def log_probs(self, encodings: Tensor) -> Tensor:
        """Log-probabilities ``(count, vocab_size)``, natural, float32."""

    @abstractmethod
    def nll(self, encodings: Tensor, targets: Tensor) -> Tensor:
        """Exact negative log-probabilities ``(count,)`` of ``targets`` (count,), float32; 0 where one is `IGNORED`."""

    def total_nll(self, encodings: Tensor, targets: Tensor) -> Tensor:
        """The sum of `nll`, to be minimised."""
        return self.nll(encodings, targets).sum()

    def tie(self, encoder: LmEncoder) -> None:
        """Share weights with an encoder; called once, by the task.

        Raises:
            ValueError: if this decoder is to be tied and the encoder's weights do not fit.
        """


class LmLoss(Part, nn.Module, ABC):
    """What is minimised in training; evaluation always takes the decoder's exact `LmDecoder.nll`."""

    @abstractmethod
    def forward(self, decoder: LmDecoder, encodings: Tensor, targets: Tensor) -> LossSum:
        """Compare encodings ``(count, in_features)`` with the tokens that came next, ``(count,)``."""


def keep_state(state: State, starts: Tensor) -> State:
    """The state with the rows of ``starts`` (batch,) set back to zero; detached."""
    return tuple(part.detach().masked_fill(starts.view(-1, *[1] * (part.dim() - 1)), 0) for part in state)


def select_rows(state: State, rows: Tensor) -> State:
    """The state of ``rows`` (int64, may repeat and drop), in that order."""
    return tuple(part.index_select(0, rows) for part in state)


def real_positions(encodings: Tensor, targets: Tensor, lengths: list[int] | None) -> tuple[Tensor, Tensor]:
    """Flatten encodings ``(batch, time, feature)`` and targets ``(batch, time)`` to the real positions, row by row."""
    if lengths is None:
        return encodings.flatten(0, 1), targets.flatten()
    index = torch.cat([torch.arange(n) + row * targets.size(1) for row, n in enumerate(lengths)]).to(targets.device)
    return encodings.flatten(0, 1)[index], targets.flatten()[index]
