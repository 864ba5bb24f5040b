"""Training steps in every precision: rate, peak memory and share of the machine's matrix product, model by model.

    OMP_NUM_THREADS=2 python benchmarks/precision.py    # on the CPU, or on the CUDA device if there is one
    python benchmarks/precision.py --workload jasper-10x5 --precision fp32 --precision bf16-master --budget 60

Each cell is ``lightning run TASK bench --config CONFIG``: forward, loss, backward, gradient rules and optimizer on
synthetic batches. On the CPU it is a process of its own, so that its peak memory is; a CUDA device tells it apart.
``times_fp32`` compares rates, ``memory`` peaks. TF32 is measured on CUDA devices only; ``--compiled`` adds half
precision under torch.compile, which takes minutes of compiling on a CPU. The goals: on two CPU cores with AVX512-BF16,
whose bf16 product is 2.2 times its float32 one, 1.95 times for Jasper and Transformer-base and 1.8 for an LSTM
language model; on an H200, 3 times for Jasper and Transformer-big, half of the bf16 product for Transformer-big, and
at most 0.6 of the memory.
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
from machine import cpu_name
from timing import print_table

HERE = Path(__file__).parent
CPU_PRECISIONS = ["fp32", "bf16-mixed", "bf16-master"]
CUDA_PRECISIONS = ["fp32", "tf32", "bf16-mixed", "fp16-mixed", "bf16-master", "fp16-master"]
COMPILED = "bf16-master"
COLUMNS = ["workload", "precision", "steps_per_s", "times_fp32", "memory_gb", "memory", "gflop_per_s", "share", "note"]


@dataclass
class Workload:
    """A packaged config and the synthetic batch that a machine takes."""

    task: str
    config: str
    cpu_batch: int
    cuda_batch: int
    cpu_seconds: float = 10.0
    """The length of the longest example, in what the task measures it in."""
    cuda_seconds: float = 10.0


WORKLOADS = {
    "jasper-10x5": Workload("asr", "jasper/10x5", 2, 64),
    "transformer-base": Workload("nmt", "transformer-base", 64, 512, cuda_seconds=17.0),
    "transformer-big": Workload("nmt", "transformer-big", 64, 512, cuda_seconds=17.0),
    "gnmt": Workload("nmt", "gnmt", 16, 128),
    "tacotron2": Workload("tts", "tacotron2/lj-speech", 8, 48, cpu_seconds=5.0),
    "lstm-lm": Workload("lm", "wikitext-2-awd", 32, 80),
    "resnet-50": Workload("images", "resnet50-v2", 8, 128),
}
"""A new model is one row."""


def measure(
    work: Workload, precisions: list[str], on_cuda: bool, steps: int, budget_s: float, overlays: tuple[str, ...] = ()
) -> list[dict]:
    """Cells of the table, from one process; a note in place of figures where they cannot be measured."""
    batch, seconds = (work.cuda_batch, work.cuda_seconds) if on_cuda else (work.cpu_batch, work.cpu_seconds)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            *(str(Path(sys.executable).with_name("lightning")), "run", work.task, "bench"),
            *(word for config in (work.config, *overlays) for word in ("--config", config)),
            *("--precisions", ",".join(precisions), "--batch", str(batch), "--seconds", str(seconds)),
            *("--steps", str(steps), "--budget", str(budget_s), "--json", str(report)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
            return [{"precision": precision, "note": lines[-1][:120]} for precision in precisions]
        rows = json.loads(report.read_text(encoding="utf-8"))["results"]
    return [{"precision": name, **_cell(row, batch)} for name, row in zip(precisions, rows, strict=True)]


def _cell(row: dict, batch: int) -> dict:
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


def compare(name: str, precisions: list[str], on_cuda: bool, args: argparse.Namespace) -> list[dict]:
    def cells(chosen: list[str], *overlays: str) -> list[dict]:
        print(f"{name} {', '.join(chosen)} {' '.join(overlays)}...", file=sys.stderr, flush=True)
        return measure(WORKLOADS[name], chosen, on_cuda, args.steps, args.budget, overlays)

    together = [precisions] if on_cuda else [[precision] for precision in precisions]
    found = [cell for chosen in together for cell in cells(chosen)]
    if args.compiled:
        cell = cells([COMPILED], "overlays/compile")[0]
        found.append({**cell, "precision": f"{COMPILED}, compiled"})
    rows = []
    for cell in found:
        row: dict = {"workload": name, **cell}
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
    parser.add_argument("--compiled", action="store_true", help=f"measure {COMPILED} under overlays/compile too")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "precision.json")
    args = parser.parse_args()
    on_cuda = torch.cuda.is_available()
    precisions = args.precision or (CUDA_PRECISIONS if on_cuda else CPU_PRECISIONS)
    if args.compiled and COMPILED not in precisions:
        parser.error(f"--compiled: expected {COMPILED} among the precisions")
    device = torch.cuda.get_device_name() if on_cuda else cpu_name()
    about = {"torch": torch.__version__, "device": device, "threads": torch.get_num_threads()}
    args.output.parent.mkdir(exist_ok=True)
    rows: list[dict] = []
    for name in args.workload or WORKLOADS:
        rows += compare(name, precisions, on_cuda, args)
        # after each, so that what was measured survives an end before the last
        args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print_table(rows, COLUMNS)


if __name__ == "__main__":
    main()
