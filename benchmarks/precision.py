"""Training steps in every precision: rate, peak memory and share of the machine's matrix product, model by model.

    OMP_NUM_THREADS=2 python benchmarks/precision.py    # on the CPU, or on the CUDA device if there is one
    python benchmarks/precision.py --workload jasper-10x5 --precision fp32 --precision bf16-master --budget 60

Each cell is a process of its own (``lightning run TASK bench --config CONFIG``), so that its peak memory is its own:
forward, loss, backward, gradient rules and optimizer on synthetic batches. ``times_fp32`` compares rates, ``memory``
peaks. TF32 is measured on CUDA devices only. The goals: on two CPU cores with AVX512-BF16, whose bf16 product is 2.2
times its float32 one, 1.95 times for Jasper and Transformer-base and 1.8 for an LSTM language model; on an H200, 3
times for Jasper and Transformer-big, half of the bf16 product for Transformer-big, and at most 0.6 of the memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from timing import print_table

HERE = Path(__file__).parent
CPU_PRECISIONS = ["fp32", "bf16-mixed", "bf16-master"]
CUDA_PRECISIONS = ["fp32", "tf32", "bf16-mixed", "fp16-mixed", "bf16-master", "fp16-master"]
COLUMNS = ["workload", "precision", "steps_per_s", "times_fp32", "memory_gb", "memory", "gflop_per_s", "share", "note"]


@dataclass
class Workload:
    """A packaged config and the synthetic batch that a machine takes."""

    task: str
    config: str
    cpu_batch: int
    cuda_batch: int
    seconds: float
    """The length of the longest example, in what the task measures it in."""


WORKLOADS = {
    "jasper-10x5": Workload("asr", "jasper/10x5", 2, 64, 10.0),
    "transformer-base": Workload("nmt", "transformer-base", 32, 256, 10.0),
    "transformer-big": Workload("nmt", "transformer-big", 16, 128, 10.0),
    "gnmt": Workload("nmt", "gnmt", 16, 128, 10.0),
    "lstm-lm": Workload("lm", "wikitext-2-awd", 32, 80, 10.0),
    "resnet-50": Workload("images", "resnet50-v2", 8, 128, 1.0),
}
"""A new model is one row."""


def measure(work: Workload, precision: str, on_cuda: bool, steps: int, budget_s: float) -> dict:
    """One cell of the table; a note in place of figures where it cannot be measured."""
    batch = work.cuda_batch if on_cuda else work.cpu_batch
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            *(str(Path(sys.executable).with_name("lightning")), "run", work.task, "bench", "--config", work.config),
            *("--precisions", precision, "--batch", str(batch), "--seconds", str(work.seconds)),
            *("--steps", str(steps), "--budget", str(budget_s), "--json", str(report)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
            return {"note": lines[-1][:120]}
        row = json.loads(report.read_text(encoding="utf-8"))["results"][0]
    return {
        "batch": batch,
        "parameters": row["parameters"],
        "steps": row["steps"],
        "steps_per_s": float(f"{row['steps_per_s']:.4g}"),
        "memory_gb": round(row["peak_memory_bytes"] / 1e9, 2),
        "gflop_per_s": round(row["flops_per_s"] / 1e9, 1),
        "ceiling_gflop_per_s": round(row["ceiling_flops_per_s"] / 1e9, 1),
        "share": round(row["share_of_ceiling"], 2),
    }


def compare(name: str, precisions: list[str], on_cuda: bool, steps: int, budget_s: float) -> list[dict]:
    rows = []
    for precision in precisions:
        print(f"{name} {precision} ...", file=sys.stderr, flush=True)
        found = measure(WORKLOADS[name], precision, on_cuda, steps, budget_s)
        row: dict = {"workload": name, "precision": precision, **found}
        first = rows[0] if rows else row
        if "steps_per_s" in row and first["precision"] == "fp32" and "steps_per_s" in first:
            row["times_fp32"] = round(row["steps_per_s"] / first["steps_per_s"], 2)
            row["memory"] = round(row["memory_gb"] / first["memory_gb"], 2)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="default: all")
    parser.add_argument("--precision", choices=CUDA_PRECISIONS, action="append", help="default: all of the device")
    parser.add_argument("--steps", type=int, default=20, help="the most that are timed in each cell")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds after which no step begins")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "precision.json")
    args = parser.parse_args()
    on_cuda = torch.cuda.is_available()
    precisions = args.precision or (CUDA_PRECISIONS if on_cuda else CPU_PRECISIONS)
    rows = [
        row
        for name in args.workload or WORKLOADS
        for row in compare(name, precisions, on_cuda, args.steps, args.budget)
    ]
    print_table(rows, COLUMNS)
    device = torch.cuda.get_device_name() if on_cuda else "CPU"
    about = {"torch": torch.__version__, "device": device, "threads": torch.get_num_threads()}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
