"""The one batch of the translation benchmarks: 64 pairs of random sentences, 1854 source and 1860 target tokens."""

import numpy as np

VOCAB, PAIRS = 32768, 64
FIRST, END = 4, 32760


def sentences(eos: int) -> tuple[list[list[int]], list[list[int]]]:
    """Source and target, each of 5 to 50 tokens of 4 to 32759 and the end of sentence."""
    rng = np.random.default_rng(0)
    lengths = [rng.integers(5, 51, PAIRS), rng.integers(5, 51, PAIRS)]
    source, target = ([[*rng.integers(FIRST, END, n).tolist(), eos] for n in side] for side in lengths)
    return source, target
