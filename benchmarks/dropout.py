"""Dropout on the host, forwards and backwards, beside torch's: the activations of a step of Transformer-base.

OMP_NUM_THREADS=2 python benchmarks/dropout.py
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from machine import cpu_name
from timing import LocalSystem, System, interleave, print_table
from torch import Tensor
from torch.nn import functional as F

from s2s_core.nn.dropout import dropout, relu_dropout

HERE = Path(__file__).parent
ROWS = 1860
"""Target tokens of the peers' batch."""
SIZES = (512, 2048)
OPERATIONS = {
    "dropout": (dropout, F.dropout),
    "relu, dropout": (relu_dropout, lambda x, p, training: F.dropout(F.relu(x), p, training)),
}
"""Ours and torch's."""


def there_and_back(drop: Callable[..., Tensor], x: Tensor, grad: Tensor) -> None:
    drop(x, 0.1, True).backward(grad)
    x.grad = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "dropout.json")
    options = parser.parse_args()
    rows = []
    for dtype, size, (name, pair) in itertools.product((torch.float32, torch.bfloat16), SIZES, OPERATIONS.items()):
        x = torch.randn(ROWS, size, dtype=dtype, requires_grad=True)
        grad = torch.randn(ROWS, size, dtype=dtype)
        systems: dict[str, System] = {
            system: LocalSystem(partial(there_and_back, drop, x, grad))
            for system, drop in zip(("s2s", "torch"), pair, strict=True)
        }
        times = {
            system: 1000 * statistics.median(found) for system, found in interleave(systems, options.steps).items()
        }
        rows.append(
            {
                "operation": name,
                "values": str(dtype).removeprefix("torch."),
                "shape": f"{ROWS} x {size}",
                "s2s, ms": round(times["s2s"], 2),
                "torch, ms": round(times["torch"], 2),
                "times torch": round(times["torch"] / times["s2s"], 1),
            }
        )
    print_table(rows, list(rows[0]))
    machine = {"cpu": cpu_name(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    options.output.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
