"""Dropout on the host, forwards and backwards, beside torch's: the activations of a step of Transformer-base.

OMP_NUM_THREADS=2 python benchmarks/dropout.py
"""

from __future__ import annotations

import argparse
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

from s2s_core.nn.dropout import dropout

HERE = Path(__file__).parent
ROWS = 1860
"""Target tokens of the peers' batch."""
SIZES = (512, 2048)


def there_and_back(drop: Callable[..., Tensor], x: Tensor, grad: Tensor) -> None:
    drop(x, 0.1, True).backward(grad)
    x.grad = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "dropout.json")
    options = parser.parse_args()
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        for size in SIZES:
            x = torch.randn(ROWS, size, dtype=dtype, requires_grad=True)
            grad = torch.randn(ROWS, size, dtype=dtype)
            systems: dict[str, System] = {
                name: LocalSystem(partial(there_and_back, drop, x, grad))
                for name, drop in (("s2s", dropout), ("torch", F.dropout))
            }
            times = {
                name: 1000 * statistics.median(found) for name, found in interleave(systems, options.steps).items()
            }
            rows.append(
                {
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
