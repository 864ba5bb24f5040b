"""Estimating a 5-gram model of ten million words on one core: seconds and peak memory.

    OMP_NUM_THREADS=1 python benchmarks/lm_ngram.py --text wikitext-2/valid.txt

The words are drawn from the bigrams of a real text, with a jump now and then, so that n-grams repeat about as in
prose. Compared with the naive way to the counts alone, a dictionary of tuples, on the first hundredth and scaled up.
The goal: ten million words in under 2 minutes and 4 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from machine import cpu_name
from timing import print_table

HERE = Path(__file__).parent
SENTENCE = 22
"""Words of one, on average: WikiText's."""
WALKS = 20_000
JUMPS = 0.15
"""Share of words that do not follow from the one before."""


def write_text(path: Path, words: int, source: Path) -> None:
    """Walk along the source's bigrams, many walks at once, and write each as sentences."""
    rng = np.random.default_rng(0)
    names, stream = np.unique(source.read_text(encoding="utf-8").split(), return_inverse=True)
    order = np.argsort(stream[:-1], kind="stable")
    starts = np.searchsorted(stream[:-1][order], np.arange(len(names) + 1))
    now = rng.choice(stream, WALKS)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(-(-words // (WALKS * SENTENCE))):
            rows = np.empty((SENTENCE, WALKS), dtype=np.int64)
            for place in range(SENTENCE):
                count = starts[now + 1] - starts[now]
                chosen = np.minimum(starts[now] + (rng.random(WALKS) * count).astype(int), len(order) - 1)
                jumps = (rng.random(WALKS) < JUMPS) | (count == 0)
                now = np.where(jumps, rng.choice(stream, WALKS), stream[order[chosen] + 1])
                rows[place] = now
            file.writelines(" ".join(column) + "\n" for column in names[rows.T])


def naive_seconds(path: Path, order: int, share: int) -> float:
    """Count tuples of words in the first lines, and scale up."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = lines[: len(lines) // share]
    start = time.perf_counter()
    counts: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        words = ["<s>", *line.split(), "</s>"]
        for n in range(1, order + 1):
            counts.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return share * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="whose bigrams to draw from")
    parser.add_argument("--words", type=int, default=10_000_000)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "lm_ngram.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text, model = Path(folder) / "text.txt", Path(folder) / "model.arpa"
        write_text(text, args.words, args.text)
        command = [str(Path(sys.executable).with_name("lightning")), "run", "lm", "ngram", str(text)]
        command += ["--order", str(args.order), "--engine", "s2s", "--output", str(model)]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        naive = naive_seconds(text, args.order, 100)
        size = model.stat().st_size
    rows = [
        {"system": "s2s, ARPA file written", "seconds": round(seconds, 1), "peak_gb": round(peak / 1e9, 2)},
        {"system": "dictionary of tuples, counts alone (scaled up)", "seconds": round(naive, 1)},
    ]
    print_table(rows, ["system", "seconds", "peak_gb"])
    about = {
        "device": cpu_name(),
        "words": args.words,
        "order": args.order,
        "arpa_mb": round(size / 1e6, 1),
        "rows": rows,
    }
    args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
