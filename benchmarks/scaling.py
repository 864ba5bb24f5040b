"""Data parallelism: measured on 1 to N processes here, modelled for 8 to 1024 GPUs, beside the original's curve.

    python benchmarks/scaling.py --task asr --config jasper/5x3 --processes 1 --processes 2
    python benchmarks/scaling.py --task nmt --config transformer-big --step-seconds 0.21 --gradient-bytes 2

Measured: every process takes the same batch on ``--threads`` cores (one GPU where there are GPUs), so perfect scaling
keeps the time of a step. ``alone`` is the step without sending gradients: what is lost beyond it is the machine's
(memory, caches), the rest is communication.

Modelled: from the step of one process (measured here, or given as ``--step-seconds``, from ``bench`` on a GPU) and the
bytes of gradients. A node's GPUs reduce among themselves, then each its share with the other nodes: rings, so that
``2 (g-1)/g B/b`` seconds pass inside a node of g GPUs over b bytes/s, and ``2 (m-1)/m (B/g)/w`` among m nodes over w,
with a latency for each hop. ``overlapped`` hides what fits behind the backward pass (two thirds of the step) but for
the last bucket; ``exposed`` hides nothing. Jitter and stragglers are left out: real curves lie below.

The original's, read from its documents' charts (speed-up over one GPU; Horovod on V100s, mixed precision).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from recipes import build_recipe
from timing import print_table
from torch import nn
from torch.nn.parallel import DistributedDataParallel

HERE = Path(__file__).parent
GPUS = (8, 16, 32, 64, 128, 256, 512, 1024)
ORIGINAL = {
    "Transformer-base": {1: 1.0, 2: 1.93, 4: 3.73, 8: 7.00, 16: 11.31},
    "ConvS2S": {4: 3.7, 8: 7.3, 16: 14.0},
}
BUCKET_BYTES = 25 * 2**20
"""DDP's: the last one to be sent has nothing left to hide behind."""
BACKWARD_SHARE = 2 / 3


class LossOf(nn.Module):
    """A task whose forward pass is its loss, for DDP."""

    def __init__(self, task: Any) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: Any) -> torch.Tensor:
        return self.task.loss_of(batch)


def work(args: argparse.Namespace) -> None:
    """One process of a measurement: times of steps with and without communication, from the first rank."""
    torch.set_num_threads(args.threads)
    on_cuda = torch.cuda.is_available()
    rank = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", rank) if on_cuda else torch.device("cpu")
    torch.distributed.init_process_group("nccl" if on_cuda else "gloo")
    torch.manual_seed(0)
    task = build_recipe(args.task, args.config).to(device).train()
    optimizer = task.configure_optimizers()
    for group in optimizer.param_groups:
        group["lr"] = 1e-6
    model = DistributedDataParallel(LossOf(task), device_ids=[rank] if on_cuda else None)
    batch = move_data_to_device(task.bench_batch(args.seconds, args.batch), device)
    times: dict[str, list[float]] = {"step": [], "alone": []}
    for turn in range(args.steps + 1):
        for kind, seconds in times.items():
            torch.distributed.barrier()
            start = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            with model.no_sync() if kind == "alone" else nullcontext():
                model(batch).backward()
            optimizer.step()
            if on_cuda:
                torch.cuda.synchronize(device)
            if turn > 0:
                seconds.append(time.perf_counter() - start)
    if rank == 0:
        found: dict[str, Any] = {kind: statistics.median(seconds) for kind, seconds in times.items()}
        found["numbers"] = sum(p.numel() for p in task.parameters() if p.requires_grad)
        Path(args.report).write_text(json.dumps(found), encoding="utf-8")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def measure(args: argparse.Namespace, processes: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        own = ["--task", args.task, "--config", args.config, "--steps", args.steps, "--threads", args.threads]
        own += ["--batch", args.batch, "--seconds", args.seconds, "--report", report]
        environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
        subprocess.run([*launcher, __file__, *map(str, own)], check=True, env=environment)
        return json.loads(report.read_text(encoding="utf-8"))


def communication_s(bytes_sent: float, gpus: int, args: argparse.Namespace) -> float:
    """Seconds of an all-reduce over GPUs in nodes."""
    in_node = min(gpus, args.gpus_per_node)
    nodes = -(-gpus // args.gpus_per_node)
    inside = 2 * (in_node - 1) / in_node * bytes_sent / (args.node_gb_per_s * 1e9)
    among = 2 * (nodes - 1) / nodes * (bytes_sent / in_node) / (args.network_gb_per_s * 1e9)
    hops = 2 * (in_node - 1) + 2 * (nodes - 1)
    return inside + among + hops * args.latency_us * 1e-6


def modelled(step_s: float, numbers: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for gpus in GPUS:
        total_bytes = numbers * args.gradient_bytes
        sent = communication_s(total_bytes, gpus, args)
        last = communication_s(min(BUCKET_BYTES, total_bytes), gpus, args)
        exposed = max(last, sent - BACKWARD_SHARE * step_s)
        row: dict[str, Any] = {"gpus": gpus, "communication_ms": round(1e3 * sent, 2)}
        row["overlapped"] = round(gpus * step_s / (step_s + exposed), 1)
        row["exposed"] = round(gpus * step_s / (step_s + sent), 1)
        row.update({name: curve[gpus] for name, curve in ORIGINAL.items() if gpus in curve})
        rows.append(row)
    return rows


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="asr")
    parser.add_argument("--config", default="jasper/5x3", help="a packaged config or a file")
    parser.add_argument("--processes", type=int, action="append", help="how many to measure; default: 1 and 2")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--batch", type=int, default=2, help="examples of each process")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of the longest example")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--step-seconds", type=float, help="of one GPU, to model with; default: what is measured here")
    parser.add_argument("--gradient-bytes", type=int, default=4, help="a number: 2 under master weights")
    parser.add_argument("--gpus-per-node", type=int, default=8)
    parser.add_argument("--node-gb-per-s", type=float, default=450.0, help="of a GPU inside a node, one way (NVLink 4)")
    parser.add_argument("--network-gb-per-s", type=float, default=50.0, help="of a GPU's network card (400 Gbit/s)")
    parser.add_argument("--latency-us", type=float, default=5.0, help="of a hop")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "scaling.json")
    parser.add_argument("--report", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.report:
        work(args)
        return
    measured = []
    for processes in args.processes or [1, 2]:
        print(f"{args.config}, {processes} processes ...", file=sys.stderr, flush=True)
        found = measure(args, processes)
        one = measured[0] if measured else {"step_s": found["step"]}
        row = {"processes": processes, "step_s": round(found["step"], 4), "alone_s": round(found["alone"], 4)}
        row["speed_up"] = round(processes * one["step_s"] / found["step"], 2)
        row["numbers"] = found["numbers"]
        measured.append(row)
    print_table(measured, ["processes", "step_s", "alone_s", "speed_up"])
    step_s = args.step_seconds or measured[0]["alone_s"]
    rows = modelled(step_s, measured[0]["numbers"], args)
    print(f"\nmodelled for a step of {step_s:g} s and {measured[0]['numbers'] * args.gradient_bytes / 1e6:.0f} MB:")
    print_table(rows, ["gpus", "communication_ms", "overlapped", "exposed", *ORIGINAL])
    about = {key: value for key, value in vars(args).items() if key not in ("output", "report")}
    args.output.parent.mkdir(exist_ok=True)
    result = {**about, "torch": torch.__version__, "measured": measured, "modelled": rows, "original": ORIGINAL}
    args.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
