"""Rows of a text table to batches of padded token pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from s2s_core.data.loader import Loaded
from s2s_core.data.text import TextTable
from s2s_core.text.sentences import EOS_ID, PAD_ID, SentenceTokenizer
from s2s_nmt.interfaces import TextBatch

TOKENS = {"source": "source_tokens", "target": "target_tokens"}
"""The column of each side's tokens; its text is in the column named after the side."""
IDS = "id"


class Sentences:
    """One side of a table: its tokens as stored, or made anew where they are another tokenizer's.

    Args:
        table: what ``prepare`` wrote.
        side: ``source`` or ``target``.
        tokenizer: the model's.
    """

    def __init__(self, table: TextTable, side: str, tokenizer: SentenceTokenizer) -> None:
        self._table = table
        self._side = side
        fingerprint = tokenizer.fingerprint()
        self.stored = all(metadata.get(side) == fingerprint for metadata in table.metadata)
        """Whether the file's tokens are used."""
        self._made: list[np.ndarray] = []
        if self.stored:
            self.lengths = table.lengths(TOKENS[side]) + 1
            """``(rows,)`` tokens, the end included."""
        else:
            texts = (table.text(side, row) for row in range(len(table)))
            self._made = [np.array(tokenizer.encode(text), dtype=np.int32) for text in texts]
            self.lengths = np.array([len(ids) + 1 for ids in self._made], dtype=np.int64)

    def tokens(self, row: int) -> np.ndarray:
        return self._table.tokens(TOKENS[self._side], row) if self.stored else self._made[row]

    def text(self, row: int) -> str:
        return self._table.text(self._side, row)


class Pairs(Dataset[Loaded[TextBatch]]):
    """Loads whole batches by their pairs' indices.

    Args:
        table: what ``prepare`` wrote.
        rows: the pairs that are used; an index is a place in this list.
        source: the source side.
        target: the target side; None for batches without.
        length_multiple: batches are padded to multiples of this.
    """

    def __init__(
        self, table: TextTable, rows: np.ndarray, source: Sentences, target: Sentences | None, length_multiple: int = 1
    ) -> None:
        self.table = table
        self.rows = rows
        self.source = source
        self.target = target
        self.length_multiple = length_multiple

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Loaded[TextBatch]:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Loaded[TextBatch]:
        rows = [int(self.rows[index]) for index in indices]
        source, source_lengths = pad_tokens([self.source.tokens(row) for row in rows], self.length_multiple)
        if self.target is None:
            target, target_lengths = torch.zeros(len(rows), 0, dtype=torch.int64), torch.zeros(len(rows)).long()
        else:
            target, target_lengths = pad_tokens([self.target.tokens(row) for row in rows], self.length_multiple)
        batch = TextBatch(
            source=source,
            source_lengths=source_lengths,
            target=target,
            target_lengths=target_lengths,
            ids=[self.table.text(IDS, row) for row in rows],
            sources=[self.table.text("source", row) for row in rows],
            targets=[self.table.text("target", row) for row in rows],
        )
        return Loaded(batch)


def pad_tokens(rows: Sequence[Sequence[int] | np.ndarray], multiple: int = 1) -> tuple[Tensor, Tensor]:
    """Return ``(batch, time)`` tokens, each row with its end and then padding, and the lengths, end included."""
    lengths = [len(row) + 1 for row in rows]
    width = -(-max(lengths) // multiple) * multiple
    padded = np.full((len(rows), width), PAD_ID, dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
        padded[place, len(row)] = EOS_ID
    return torch.from_numpy(padded), torch.tensor(lengths)
