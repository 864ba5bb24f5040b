"""Samples a second of a WaveNet: s2s beside the loop that a user would write, eager and as TorchScript.

    OMP_NUM_THREADS=2 python benchmarks/wavenet_gen.py

30 layers, dilations 1 to 512 three times, kernel 2, 64 residual, gated and skip channels, two layers of 256 on top, 256
levels, no conditions: 0.82 M weights and 1.64 MFLOP a sample. All draw with the same weights from caches; the eager
loop and TorchScript (with each layer's products fused) run on one thread, where they are fastest. ``kernel 3`` is the
same at OpenSeq2Seq's kernel width, s2s alone. The share is of the machine's own 4096-cube ``torch.mm`` in float32.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from machine import cpu_name
from timing import LocalSystem, System, interleave, print_table, summary
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.cli.ceiling import library_product_flops
from s2s_tts.vocoders.wavenet import make_steps
from s2s_tts.vocoders.wavenet_network import WaveNetNetwork, WaveNetShape

HERE = Path(__file__).parent
COLUMNS = ["batch", "system", "samples_per_s", "times_eager", "times_16_khz", "seconds_median", "seconds_min", "share"]


class Eager:
    """A layer at a time, as it reads in the paper."""

    def __init__(self, net: WaveNetNetwork, batch: int) -> None:
        self.net, self.batch = net, batch

    def draw(self, samples: int) -> None:
        net, layers = self.net, self.net.layers
        caches = [torch.zeros(dilation, self.batch, 64) for dilation in net.shape.dilations]
        level = torch.full((self.batch,), 128)
        for t in range(samples):
            x, skips = net.embedding(level), torch.zeros(self.batch, 64)
            for layer, cache in zip(layers, caches, strict=True):
                slot = t % len(cache)
                content, gate = layer.gates(torch.cat([cache[slot], x], 1)).chunk(2, 1)  # type: ignore[operator]
                cache[slot] = x
                out = layer.out(content.tanh() * gate.sigmoid())  # type: ignore[operator]
                x, skips = x + out[:, :64], skips + out[:, 64:]
            probabilities = net.outputs(skips).softmax(1)
            level = torch.multinomial(probabilities, 1)[:, 0]


class Scripted(nn.Module):
    """The same for torch.jit.script."""

    def __init__(self, net: WaveNetNetwork) -> None:
        super().__init__()
        self.embedding = net.embedding.weight.detach()
        self.gates = torch.stack([layer.gates.weight.detach().t() for layer in net.layers])  # type: ignore[union-attr]
        self.gate_biases = torch.stack([layer.gates.bias.detach() for layer in net.layers])  # type: ignore[union-attr]
        self.outs = torch.stack([layer.out.weight.detach().t() for layer in net.layers])  # type: ignore[union-attr]
        self.out_biases = torch.stack([layer.out.bias.detach() for layer in net.layers])  # type: ignore[union-attr]
        self.hidden, self.levels = net.hidden, net.levels

    def forward(self, samples: int, batch: int) -> Tensor:
        caches = [torch.zeros(1 << (i % 10), batch, 64) for i in range(30)]
        level = torch.full((batch,), 128, dtype=torch.long)
        drawn = torch.zeros(samples, batch, dtype=torch.long)
        gates, gate_biases = self.gates.unbind(0), self.gate_biases.unbind(0)
        outs, out_biases = self.outs.unbind(0), self.out_biases.unbind(0)
        for t in range(samples):
            x, skips = F.embedding(level, self.embedding), torch.zeros(batch, 64)
            for i in range(30):
                cache = caches[i]
                slot = t % cache.shape[0]
                y = torch.addmm(gate_biases[i], torch.cat([cache[slot], x], 1), gates[i])
                cache[slot].copy_(x)
                out = torch.addmm(out_biases[i], torch.tanh(y[:, :64]) * torch.sigmoid(y[:, 64:]), outs[i])
                x, skips = x + out[:, :64], skips + out[:, 64:]
            scores = self.levels(F.relu(self.hidden(F.relu(skips))))
            level = torch.multinomial(F.softmax(scores, 1), 1).squeeze(1)
            drawn[t] = level
        return drawn


def ours(net: WaveNetNetwork, batch: int, weights: str) -> Callable[[int], None]:
    uniforms = torch.rand(batch, 1 << 14)

    def draw(samples: int) -> None:
        make_steps(net, batch, 1.0, weights).run(None, 0, 1, uniforms[:, :samples])  # type: ignore[arg-type]

    return draw


def timed(draw: Callable[[int], None], samples: int, threads: int) -> System:
    def run() -> None:
        torch.set_num_threads(threads)
        draw(samples)

    return LocalSystem(run)


def measure(batch: int, turns: int, threads: int, ceiling: float) -> list[dict]:
    torch.manual_seed(0)
    net, wide = (WaveNetNetwork(WaveNetShape(kernel=kernel)).eval() for kernel in (2, 3))
    scripted = torch.jit.script(Scripted(net).eval())
    # a turn of ours is longer, or it would be over before it is timed well
    lengths = {"eager": 300, "TorchScript": 600}
    systems: dict[str, System] = {
        "eager": timed(Eager(net, batch).draw, 300, 1),
        "TorchScript": timed(lambda samples: scripted(samples, batch), 600, 1),
    }
    for name, network in (("s2s", net), ("s2s, kernel 3", wide)):
        for weights in ("float32", "bfloat16"):
            systems[f"{name}, {weights}"] = timed(ours(network, batch, weights), 4000, threads)
            lengths[f"{name}, {weights}"] = 4000
    with torch.inference_mode():
        seconds = interleave(systems, turns)
    rows = []
    for name, taken in seconds.items():
        figures = summary(taken)
        rate = batch * lengths[name] / float(figures["seconds_median"])
        weights = sum(p.numel() for p in (wide if "kernel 3" in name else net).parameters()) - 256 * 64
        row = {"batch": batch, "system": name, "samples_per_s": round(rate), "samples_a_turn": lengths[name], **figures}
        row |= {"share": round(2 * weights * rate / ceiling, 3), "times_16_khz": round(rate / 16000, 2)}
        rows.append(row)
    for row in rows:
        row["times_eager"] = round(row["samples_per_s"] / rows[0]["samples_per_s"], 1)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    torch.set_num_threads(threads)
    ceiling = library_product_flops(torch.float32, torch.device("cpu"))["torch.mm"]
    rows = [row for batch in options.batches for row in measure(batch, options.turns, threads, ceiling)]
    print_table(rows, COLUMNS)
    result = {
        "command": f"OMP_NUM_THREADS={threads} python benchmarks/wavenet_gen.py {' '.join(sys.argv[1:])}".strip(),
        "machine": cpu_name(),
        "torch": torch.__version__,
        "threads": threads,
        "ceiling_gflop_per_s": round(ceiling / 1e9, 1),
        "rows": rows,
    }
    (HERE / "results" / "wavenet_gen.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
