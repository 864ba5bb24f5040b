"""A trained language model as a `s2s_core.decoding.scoring.SequenceScorer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from s2s_core.decoding.state import DecodingState
from s2s_lm.interfaces import State, real_positions, select_rows

if TYPE_CHECKING:
    from s2s_lm.task import LanguageModeling

BATCH_TOKENS = 4096
"""Padded tokens that are scored at once."""


class LmDecodingState(DecodingState):
    """What a language model carries, one row a hypothesis."""

    def __init__(self, state: State) -> None:
        self.state = state

    def expand(self, width: int) -> LmDecodingState:
        return LmDecodingState(tuple(part.repeat_interleave(width, dim=0) for part in self.state))

    def select(self, rows: Tensor) -> LmDecodingState:
        return LmDecodingState(select_rows(self.state, rows))


class LmScorer:
    """Scores sequences of a task's tokens, each from an empty state, or step by step.

    Args:
        task: trained; put into evaluation mode.
    """

    def __init__(self, task: LanguageModeling) -> None:
        self.task = task.eval()
        self.vocab_size = task.encoder.vocab_size
        self.begin_id = self.end_id = task.tokenizer.eos_id

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.task.parameters()).device

    def encode(self, text: str) -> list[int]:
        return self.task.tokenizer.encode(text)

    def score(self, sequences: Sequence[Sequence[int]], ends: bool = True) -> list[float]:
        return [float(nll.sum(dtype=torch.float64)) * -1.0 for nll in self.token_nll(sequences, ends)]

    @torch.inference_mode()
    def token_nll(self, sequences: Sequence[Sequence[int]], ends: bool = True) -> list[Tensor]:
        """Negative log-probabilities of each sequence's tokens and, with ``ends``, of its end: on the host."""
        targets = [[*sequence, self.end_id] if ends else list(sequence) for sequence in sequences]
        order = sorted(range(len(targets)), key=lambda i: -len(targets[i]))
        results: list[Tensor] = [torch.zeros(0)] * len(targets)
        while order and targets[order[0]]:
            count = max(1, BATCH_TOKENS // len(targets[order[0]]))
            rows, order = [i for i in order[:count] if targets[i]], order[count:]
            for i, nll in zip(rows, self._batch_nll([targets[i] for i in rows]), strict=True):
                results[i] = nll
        return results

    def _batch_nll(self, targets: list[list[int]]) -> list[Tensor]:
        lengths = [len(row) for row in targets]
        wanted = torch.full((len(targets), lengths[0]), self.end_id)
        for row, ids in enumerate(targets):
            wanted[row, : len(ids)] = torch.tensor(ids)
        begin = torch.full((len(targets), 1), self.begin_id)
        tokens = torch.cat([begin, wanted[:, :-1]], dim=1).to(self.device)
        state = self.task.encoder.initial_state(len(targets))
        encodings, _ = self.task.encoder(tokens, state, lengths)
        real, flat = real_positions(encodings, wanted.to(self.device), lengths)
        return list(self.task.decoder.nll(real, flat).cpu().split(lengths))

    def start(self, rows: int) -> LmDecodingState:
        return LmDecodingState(self.task.encoder.initial_state(rows))

    @torch.inference_mode()
    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, LmDecodingState]:
        assert isinstance(state, LmDecodingState)
        encodings, after = self.task.encoder(tokens[:, None], state.state)
        return self.task.decoder.log_probs(encodings[:, 0]), LmDecodingState(after)

    @torch.inference_mode()
    def read(self, tokens: Sequence[int]) -> LmDecodingState:
        """The state of one row after ``tokens``, which begin with what a text begins after."""
        state = self.task.encoder.initial_state(1)
        if tokens:
            _, state = self.task.encoder(torch.tensor([list(tokens)], device=self.device), state)
        return LmDecodingState(state)
