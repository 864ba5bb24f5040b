"""Padding of length-bucketed batches: s2s's planner, Lhotse's, random and sorted order, over the same lengths.

    python benchmarks/data_padding.py

28,539 lengths like LibriSpeech's train-clean-100: three quarters N(14.5, 1.5) s, a quarter uniform in 2 to 14 s,
clipped to 1.4 to 17.5 s. ``waste`` is 1 - real / padded seconds; planners get a budget of 480 s a batch, the fixed
orders 32 utterances.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from lhotse import CutSet
from lhotse.cut import MonoCut
from lhotse.dataset.sampling import DynamicBucketingSampler
from timing import print_table

from s2s_core.data.sampling import BucketBatchSampler

BUDGET_S = 480.0
HERE = Path(__file__).parent


def lengths_s() -> np.ndarray:
    rng = np.random.default_rng(0)
    count = 28539
    usual = rng.normal(14.5, 1.5, count * 3 // 4)
    short = rng.uniform(2, 14, count - len(usual))
    # mixed, as a corpus is: Lhotse sees the lengths as a stream
    return np.round(np.clip(rng.permutation(np.concatenate([usual, short])), 1.4, 17.5), 2)


def ours(lengths: np.ndarray) -> list[list[float]]:
    sampler = BucketBatchSampler(lengths, BUDGET_S)
    return [[float(lengths[i]) for i in batch] for batch in sampler.plan(0)]


def lhotse(lengths: np.ndarray) -> list[list[float]]:
    cuts = CutSet.from_cuts(MonoCut(str(i), 0.0, float(x), 0) for i, x in enumerate(lengths))
    sampler = DynamicBucketingSampler(cuts, max_duration=BUDGET_S, num_buckets=30, shuffle=True, seed=0)
    return [[cut.duration for cut in batch] for batch in sampler]


def fixed(lengths: np.ndarray, order: np.ndarray) -> list[list[float]]:
    return [lengths[order[i : i + 32]].tolist() for i in range(0, len(order), 32)]


def row(name: str, plan: Callable[[], list[list[float]]]) -> dict:
    start = time.perf_counter()
    batches = plan()
    taken = time.perf_counter() - start
    padded = [len(batch) * max(batch) for batch in batches]
    return {
        "system": name,
        "waste": round(1 - sum(map(sum, batches)) / sum(padded), 4),
        "batches": len(batches),
        "largest_padded_s": round(max(padded), 1),
        "utterances": sum(map(len, batches)),
        "seconds": round(taken, 3),
    }


def main() -> None:
    lengths = lengths_s()
    shuffled = np.random.default_rng(1).permutation(len(lengths))
    rows = [
        row("s2s BucketBatchSampler", lambda: ours(lengths)),
        row("Lhotse DynamicBucketingSampler", lambda: lhotse(lengths)),
        row("random order, 32 a batch", lambda: fixed(lengths, shuffled)),
        row("sorted order, 32 a batch", lambda: fixed(lengths, np.argsort(lengths))),
    ]
    print_table(rows, list(rows[0]))
    path = HERE / "results" / "data_padding.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
