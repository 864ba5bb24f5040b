"""A CTC training step of Jasper 5x3 and QuartzNet 5x5: s2s, and NeMo beside it, in turns on the same cores.

    OMP_NUM_THREADS=2 python benchmarks/asr_train.py --peer-python PYTHON_WITH_NEMO

4 utterances of 800, 700, 600 and 500 frames of 64 features, targets of 60 to 30 of 28 characters, CTC averaged over the
batch, SGD with momentum; a step is zeroed gradients, forward, loss, backward and update. Rates count the 2600 real
frames. GFLOP/s count three times the forward's products: on real frames for s2s, which computes no padding, and on
padded ones for the peer. ``share`` is of the machine's own 4096-cube ``torch.mm`` in the same precision, measured in
the same run; it can pass 1 where oneDNN's products are faster than that.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from timing import LocalSystem, PeerSystem, System, interleave, print_table, summary
from torch import nn

from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.losses.ctc import CtcLoss
from s2s_core.cli.ceiling import library_product_flops

LENGTHS, TARGETS, FEATURES, LABELS = [800, 700, 600, 500], [60, 50, 40, 30], 64, 28
HERE = Path(__file__).parent
COLUMNS = [
    *("workload", "precision", "system", "frames_per_s", "times_peer"),
    *("seconds_median", "seconds_min", "seconds_max", "gflop_per_s", "share"),
]


def jasper_5x3() -> nn.Module:
    sizes = ((256, 11, 0.2), (384, 13, 0.2), (512, 17, 0.2), (640, 21, 0.3), (768, 25, 0.3))
    dense = [TdnnBlock(c, k, repeat=3, dropout=drop, residual="dense") for c, k, drop in sizes]
    ends = [TdnnBlock(896, 29, dilation=2, dropout=0.4), TdnnBlock(1024, 1, dropout=0.4)]
    return TdnnEncoder(FEATURES, [TdnnBlock(256, 11, stride=2, dropout=0.2), *dense, *ends])


def quartznet_5x5() -> nn.Module:
    sizes = ((256, 33), (256, 39), (512, 51), (512, 63), (512, 75))
    blocks = [TdnnBlock(c, k, repeat=5, residual=True, separable=True) for c, k in sizes]
    ends = [TdnnBlock(512, 87, dilation=2, separable=True), TdnnBlock(1024, 1)]
    return TdnnEncoder(FEATURES, [TdnnBlock(256, 33, stride=2, separable=True), *blocks, *ends])


WORKLOADS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "asr-train-quartznet5x5": (quartznet_5x5, 15),
    "asr-train-jasper5x3": (jasper_5x3, 5),
}
"""The encoder and how many steps are timed."""


class Training:
    """Our step of a workload."""

    def __init__(self, encoder: nn.Module, precision: str) -> None:
        self.encoder, self.decoder, self.loss = encoder, CtcDecoder(1024, LABELS), CtcLoss()
        self.bf16 = precision == "bf16"
        self.parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.SGD(self.parameters, lr=0.01, momentum=0.9, fused=True)
        self.features, self.lengths = torch.randn(len(LENGTHS), max(LENGTHS), FEATURES), torch.tensor(LENGTHS)
        self.tokens = torch.randint(0, LABELS, (len(LENGTHS), max(TARGETS)))
        self.token_lengths = torch.tensor(TARGETS)

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            encodings, lengths = self.encoder(self.features, self.lengths)
            logits = self.decoder(encodings, lengths)
        self.loss(logits, lengths, self.tokens, self.token_lengths).mean.backward()
        self.optimizer.step()

    def gflop(self, frames: int) -> float:
        """Of a step on that many encodings: 2 a weight of a product, and the backward costs two forwards."""
        return 3 * 2 * frames * sum(p.numel() for p in self.parameters if p.dim() > 1) / 1e9


def compare(workload: str, precision: str, peer_python: str | None, steps: int | None) -> list[dict]:
    make, usual_steps = WORKLOADS[workload]
    torch.manual_seed(0)
    ours = Training(make(), precision)
    with ExitStack() as stack:
        systems: dict[str, System] = {"s2s": LocalSystem(ours.step)}
        if peer_python:
            command = [peer_python, str(HERE / "asr_train_nemo.py"), workload, precision]
            systems["NeMo"] = stack.enter_context(PeerSystem(command))
        seconds = interleave(systems, steps or usual_steps)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    ceilings = library_product_flops(dtype, torch.device("cpu"))
    real, padded = sum((n + 1) // 2 for n in LENGTHS), len(LENGTHS) * ((max(LENGTHS) + 1) // 2)
    rows = []
    for name, taken in seconds.items():
        row: dict = {"workload": workload, "precision": precision, "system": name, **summary(taken)}
        row["frames_per_s"] = round(sum(LENGTHS) / row["seconds_median"])
        if "NeMo" in seconds:
            row["times_peer"] = round(summary(seconds["NeMo"])["seconds_median"] / row["seconds_median"], 2)
        row["gflop_per_s"] = round(ours.gflop(real if name == "s2s" else padded) / row["seconds_median"], 1)
        row["share"] = round(row["gflop_per_s"] * 1e9 / ceilings["torch.mm"], 2)
        row["parameters"] = sum(p.numel() for p in ours.parameters)
        row["ceilings_gflop_per_s"] = {library: round(flops / 1e9, 1) for library, flops in ceilings.items()}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="default: all")
    parser.add_argument("--precision", choices=["fp32", "bf16"], action="append", help="default: both")
    parser.add_argument("--peer-python", help="a Python that has NeMo 3.0")
    parser.add_argument("--steps", type=int, help="timed steps of each system, instead of the workload's own")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "asr_train.json")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    rows = []
    for workload in args.workload or WORKLOADS:
        for precision in args.precision or ["fp32", "bf16"]:
            print(f"{workload} {precision} ...", file=sys.stderr, flush=True)
            rows += compare(workload, precision, args.peer_python, args.steps)
    print_table(rows, COLUMNS)
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.machine()}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
