"""The toy task: words to the same words backwards."""

from __future__ import annotations

import random
from collections.abc import Iterator

from s2s_nmt.prepare.checks import Pair

GREEK = ["α", "β", "γ", "δ", "ε", "ζ", "η", "θ", "ι", "κ"]
"""The vocabulary of OpenSeq2Seq's toy task."""
PAIRS = {"train": 10_000, "validation": 1_000, "test": 2_000}


def reversal_pairs(split: str, count: int, shortest: int = 5, longest: int = 50, seed: int = 0) -> Iterator[Pair]:
    """Random words and their reversal, lengths uniform from ``shortest`` to ``longest``, as OpenSeq2Seq makes them."""
    draw = random.Random(f"{split} {seed}")  # of the split's own, so that none depends on another's size
    for number in range(1, count + 1):
        words = draw.choices(GREEK, k=draw.randint(shortest, longest))
        yield Pair(str(number), " ".join(words), " ".join(reversed(words)))
