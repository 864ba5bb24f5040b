"""A model small enough to search exhaustively: its scores stand in a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from s2s_core.decoding.state import DecodingState


class TableState(DecodingState):
    """Which sentence a row belongs to, and the number of its history: the root is 0, its children 1 to vocab_size."""

    def __init__(self, sentences: Tensor, nodes: Tensor, attention: Tensor | None = None) -> None:
        self.sentences = sentences
        self.nodes = nodes
        self.attention = attention

    def expand(self, width: int) -> TableState:
        return self.select(torch.arange(len(self.nodes)).repeat_interleave(width))

    def select(self, rows: Tensor) -> TableState:
        attention = None if self.attention is None else self.attention[rows]
        return TableState(self.sentences[rows], self.nodes[rows], attention)


class TableStepper:
    """Random logits in float64 that depend on the sentence and on every earlier token, up to ``depth`` tokens.

    Args:
        vocab_size: tokens; the start token is not looked at.
        depth: steps that are scored.
        sentences: different sentences.
        seed: of the table.
        source_time: if given, the state tells a random attention over so many source positions.
        spread: the standard deviation of the logits.
    """

    def __init__(
        self,
        vocab_size: int,
        depth: int,
        sentences: int = 1,
        seed: int = 0,
        source_time: int | None = None,
        spread: float = 2.0,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.vocab_size = vocab_size
        self.depth = depth
        self.count = sentences
        nodes = sum(vocab_size**level for level in range(depth))
        self.table = torch.randn(sentences, nodes, vocab_size, generator=generator, dtype=torch.float64) * spread
        self.attention = None
        if source_time is not None:
            scores = torch.randn(sentences, nodes, source_time, generator=generator, dtype=torch.float64)
            self.attention = scores.mul(2).softmax(dim=2)

    def start(self, sentences: list[int] | None = None) -> TableState:
        """The state before the first token, a row a sentence (all of them by default)."""
        numbers = torch.tensor(list(range(self.count)) if sentences is None else sentences)
        return TableState(numbers, torch.full_like(numbers, -1))

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, DecodingState]:
        assert isinstance(state, TableState)
        first = state.nodes < 0
        nodes = torch.where(first, 0, state.nodes * self.vocab_size + tokens + 1)
        attention = None if self.attention is None else self.attention[state.sentences, nodes]
        return self.table[state.sentences, nodes].clone(), TableState(state.sentences, nodes, attention)

    def sequences(self, sentence: int, end_token: int) -> Iterator[tuple[list[int], float, list[Tensor]]]:
        """Every sequence that ends within ``depth`` tokens: its tokens without the end, its log probability with it,
        and the attention of each step."""
        others = [token for token in range(self.vocab_size) if token != end_token]
        for length in range(self.depth):
            for tokens in itertools.product(others, repeat=length):
                node, log_prob, attention = 0, 0.0, []
                for token in (*tokens, end_token):
                    row = self.table[sentence, node]
                    log_prob += float(row[token]) - math.log(float(row.exp().sum()))
                    if self.attention is not None:
                        attention.append(self.attention[sentence, node])
                    node = node * self.vocab_size + token + 1
                yield list(tokens), log_prob, attention
