"""A training step of ResNet-50: s2s, and torchvision's channels-last network beside it, in turns on the same cores.

    OMP_NUM_THREADS=2 python benchmarks/commands_train.py

16 images of 1 x 128 x 128, 30 classes, SGD with momentum 0.9 and weight decay 1e-4; a step is zeroed gradients,
forward, loss, backward and update. torchvision computes ``bf16`` under autocast; s2s under autocast (``bf16``) and
with bfloat16 weights over float32 masters (``bf16-master``, held against the same step of torchvision's).
GFLOP/s count three times the forward's products; ``share`` is of the machine's own 4096-cube ``torch.mm`` in the same
precision, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import torch
import torchvision
from machine import cpu_name
from timing import LocalSystem, System, cpu_ratio, interleave, print_table, summary
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from s2s_commands.decoders.linear import LinearHead
from s2s_commands.encoders.resnet import ResNetEncoder
from s2s_core.cli.ceiling import library_product_flops

BATCH, SIZE, CLASSES = 16, 128, 30
STEPS = {"fp32": 7, "bf16": 11, "bf16-master": 11}
HERE = Path(__file__).parent
COLUMNS = [
    *("precision", "system", "images_per_s", "times_peer", "cpu_times_peer"),
    *("seconds_median", "seconds_min", "seconds_max", "gflop_per_s", "share"),
]


def ours() -> nn.Module:
    encoder = ResNetEncoder(in_channels=1, depth=50, zero_init_residual=False)
    return nn.Sequential(encoder, LinearHead(encoder.out_features, CLASSES))


def torchvisions() -> nn.Module:
    model = torchvision.models.resnet50(num_classes=CLASSES)
    model.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    # torch's types leave this argument out
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


class Training:
    """A step of a network, in float32 or under autocast."""

    def __init__(self, model: nn.Module, bf16: bool) -> None:
        self.model, self.bf16 = model, bf16
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True)
        images = torch.randn(BATCH, 1, SIZE, SIZE)
        self.images = images.to(memory_format=torch.channels_last)
        self.labels = torch.randint(0, CLASSES, (BATCH,))

    def loss(self) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits = self.model(self.images)
        return F.cross_entropy(logits.float(), self.labels)

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        self.optimizer.step()


class MasterTraining(Training):
    """A step with bfloat16 convolutions over float32 masters; norms stay float32."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, bf16=False)
        self.halves = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        self.masters = [nn.Parameter(weight.detach().clone()) for weight in self.halves]
        others = [p for p in model.parameters() if all(p is not half for half in self.halves)]
        self.optimizer = torch.optim.SGD([*self.masters, *others], lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True)
        for half in self.halves:
            half.data = half.data.bfloat16()
        self.bf16 = True

    def step(self) -> None:
        for half in self.halves:
            half.grad = None
        self.optimizer.zero_grad(set_to_none=True)
        self.loss().backward()
        for half, master in zip(self.halves, self.masters, strict=True):
            assert half.grad is not None
            master.grad = half.grad.float()
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(  # pyright: ignore[reportPrivateImportUsage]
                [half.data for half in self.halves], [master.data for master in self.masters]
            )


def compare(precision: str, steps: int | None) -> list[dict]:
    torch.manual_seed(0)
    peer = Training(torchvisions(), precision != "fp32")
    mine = MasterTraining(ours()) if precision == "bf16-master" else Training(ours(), precision != "fp32")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        peer.loss()
    gflop = 3 * counter.get_total_flops() / 1e9
    systems = {"s2s": LocalSystem(mine.step), "torchvision": LocalSystem(peer.step)}
    seconds = interleave(dict[str, System](systems), steps or STEPS[precision])
    ceilings = library_product_flops(torch.float32 if precision == "fp32" else torch.bfloat16, torch.device("cpu"))
    rows = []
    for name, taken in seconds.items():
        row: dict = {"precision": precision, "system": name, **summary(taken)}
        row["images_per_s"] = round(BATCH / row["seconds_median"], 1)
        row["times_peer"] = round(summary(seconds["torchvision"])["seconds_median"] / row["seconds_median"], 2)
        row["cpu_times_peer"] = cpu_ratio(systems["torchvision"], systems[name])
        row["gflop_per_s"] = round(gflop / row["seconds_median"], 1)
        row["share"] = round(row["gflop_per_s"] * 1e9 / ceilings["torch.mm"], 2)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=STEPS, action="append", help="default: all")
    parser.add_argument("--steps", type=int, help="timed steps of each system")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "commands_train.json")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    rows = []
    for precision in args.precision or STEPS:
        print(f"{precision} ...", file=sys.stderr, flush=True)
        rows += compare(precision, args.steps)
    print_table(rows, COLUMNS)
    about = {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "threads": torch.get_num_threads(),
        "processor": cpu_name(),
    }
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
