"""What a sequence may and must hold, applied to the logits of a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Constraints:
    """Limits on the sequences of a search.

    Args:
        min_length: tokens before the end token may come.
        max_length_ratio: the most tokens, the end token among them, are ``ratio * source length + extra``.
        max_length_extra: see ``max_length_ratio``.
        no_repeat_ngram: no sequence of so many tokens occurs twice in a hypothesis (Paulus et al. 2017, section 2.5,
            https://arxiv.org/abs/1705.04304, with 3); 0: any may.

    Raises:
        ValueError: if a number is negative, or no token were allowed.
    """

    min_length: int = 0
    max_length_ratio: float = 1.0
    max_length_extra: int = 50
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        for name in ("min_length", "max_length_ratio", "max_length_extra", "no_repeat_ngram"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must not be negative, got {value}")
        if self.max_length_ratio == 0 and self.max_length_extra == 0:
            raise ValueError("max_length_ratio and max_length_extra are both 0: no token would be allowed")

    def limits(self, source_lengths: Tensor, prefixes: Sequence[Sequence[int]] | None) -> list[int]:
        """The most tokens of each sentence; at least one after its prefix."""
        most = [math.ceil(self.max_length_ratio * n) + self.max_length_extra for n in source_lengths.tolist()]
        forced = [0] * len(most) if prefixes is None else [len(prefix) for prefix in prefixes]
        return [max(limit, length + 1) for limit, length in zip(most, forced, strict=True)]

    def apply(
        self, logits: Tensor, history: Tensor, end_token: int, banned: Sequence[int], forced: Tensor | None
    ) -> None:
        """Write minus infinity over the logits of what may not come next.

        Args:
            logits: ``(rows, vocab)``.
            history: ``(rows, tokens so far)``, int64.
            end_token: forbidden below the minimum length.
            banned: tokens that never come, except in a prefix.
            forced: ``(rows,)``, the next token of a row's prefix, or -1 where the row is free; None if all are.
        """
        rows = None if forced is None else (forced >= 0).nonzero().flatten()
        kept = None if forced is None else logits[rows, forced[rows]]
        for token in banned:
            logits[:, token] = -math.inf
        if history.size(1) < self.min_length:
            logits[:, end_token] = -math.inf
        if self.no_repeat_ngram:
            _forbid_repeats(logits, history, self.no_repeat_ngram)
        if forced is not None and kept is not None:
            logits[rows] = -math.inf
            logits[rows, forced[rows]] = kept


def next_of_prefixes(
    prefixes: Sequence[Sequence[int]] | None, sentences: Sequence[int], step: int, device: torch.device
) -> Tensor | None:
    """The token that each sentence's prefix has at ``step``, -1 where it has ended; None where all have."""
    if prefixes is None or all(step >= len(prefixes[i]) for i in sentences):
        return None
    tokens = [prefixes[i][step] if step < len(prefixes[i]) else -1 for i in sentences]
    return torch.tensor(tokens, device=device)


def check_prefixes(prefixes: Sequence[Sequence[int]] | None, sentences: int, vocab_size: int, end_token: int) -> None:
    """Raise ValueError unless there is one prefix a sentence, of real tokens and without the end token."""
    if prefixes is None:
        return
    if len(prefixes) != sentences:
        raise ValueError(f"{len(prefixes)} prefixes for {sentences} sentences")
    for prefix in prefixes:
        for token in prefix:
            if not 0 <= token < vocab_size or token == end_token:
                raise ValueError(
                    f"a prefix holds token {token}, expected 0 to {vocab_size - 1}, not {end_token}, the end"
                )


def _forbid_repeats(logits: Tensor, history: Tensor, n: int) -> None:
    if history.size(1) < n:
        return
    ngrams = history.unfold(1, n, 1)
    last = history[:, history.size(1) - (n - 1) :]
    rows, places = (ngrams[:, :, :-1] == last[:, None, :]).all(dim=2).nonzero(as_tuple=True)
    logits[rows, ngrams[rows, places, -1]] = torch.tensor(-math.inf, dtype=logits.dtype, device=logits.device)
