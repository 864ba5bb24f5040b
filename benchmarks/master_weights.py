"""What float32 master weights cost a step of Transformer-base: copying weights, moving gradients, looking for overflow.

    OMP_NUM_THREADS=2 python benchmarks/master_weights.py    # on the CPU, or on the CUDA device if there is one

Real steps of Lightning's trainer with the toolkit's precision plugin on a synthetic batch. The plugin's functions are
timed within them, with the device waited for before and after, which flatters nothing: without the waits a GPU hides
part of them. The goal: under 3 % of the step.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import move_data_to_device
from machine import cpu_name
from recipes import build_recipe
from timing import print_table
from torch.utils.data import DataLoader

from s2s_core.cli.ceiling import wait_for
from s2s_core.cli.runs import quiet_lightning
from s2s_core.precision.half_copies import HalfCopies
from s2s_core.precision.master_weights import MasterWeightsPrecision

HERE = Path(__file__).parent
PARTS = {
    "weights to half": (HalfCopies, "refresh"),
    "gradients to float32": (HalfCopies, "move_gradients"),
    "overflow and unscaling": (MasterWeightsPrecision, "_unscale"),
}


class StepTimes(Callback):
    """Seconds of each step, and of the plugin's parts in it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.steps: list[float] = []
        self.parts: dict[str, list[float]] = defaultdict(list)
        self._spent: dict[str, float] = defaultdict(float)

    def watch(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any) -> Any:
            wait_for(self.device)
            start = time.perf_counter()
            result = function(*args)
            wait_for(self.device)
            self._spent[name] += time.perf_counter() - start
            return result

        return timed

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        wait_for(self.device)
        self._spent.clear()
        self._start = time.perf_counter()

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        wait_for(self.device)
        self.steps.append(time.perf_counter() - self._start)
        for name in PARTS:
            self.parts[name].append(self._spent[name])


def _as_it_is(batch: Any) -> Any:
    return batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="transformer-base")
    parser.add_argument("--steps", type=int, default=6, help="timed after two others")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "master_weights.json")
    args = parser.parse_args()
    quiet_lightning()
    on_cuda = torch.cuda.is_available()
    device = torch.device("cuda" if on_cuda else "cpu")
    rows = []
    for name in ("fp16", "bf16") if on_cuda else ("bf16",):
        torch.manual_seed(0)
        task = build_recipe("nmt", args.config).to(device)
        batch = move_data_to_device(task.bench_batch(17.0, 512 if on_cuda else 64), device)
        times = StepTimes(device)
        originals = {part: getattr(*place) for part, place in PARTS.items()}
        for part, (cls, function) in PARTS.items():
            setattr(cls, function, times.watch(part, originals[part]))
        trainer = Trainer(
            accelerator="gpu" if on_cuda else "cpu", devices=1, max_steps=args.steps + 2, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, callbacks=[times],
            plugins=[MasterWeightsPrecision(name)], use_distributed_sampler=False,
        )  # fmt: skip
        trainer.fit(task, DataLoader([batch] * (args.steps + 2), batch_size=None, collate_fn=_as_it_is))
        for part, (cls, function) in PARTS.items():
            setattr(cls, function, originals[part])
        step = statistics.median(times.steps[2:])
        row: dict[str, Any] = {"precision": f"{name}-master", "step_ms": round(1e3 * step, 1)}
        row |= {part: round(1e3 * statistics.median(spent[2:]), 2) for part, spent in times.parts.items()}
        row["share"] = round(sum(row[part] for part in PARTS) / row["step_ms"], 4)
        rows.append(row)
    print_table(rows, ["precision", "step_ms", *PARTS, "share"])
    about = {"torch": torch.__version__, "device": torch.cuda.get_device_name() if on_cuda else cpu_name()}
    args.output.write_text(
        json.dumps({**about, "config": args.config, "rows": rows}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
