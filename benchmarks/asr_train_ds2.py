"""A DeepSpeech2 training step: s2s against the plain torch loop, padded and packed, in the same run.

    OMP_NUM_THREADS=2 python benchmarks/asr_train_ds2.py

4 utterances of 800, 700, 600 and 500 frames of 64 features; two convolutions, five bidirectional GRUs of 800, a linear
layer to 29 labels, CTC, gradient clipping, SGD. The padded loop is the fast one of torch's two, and the wrong one: its
backward direction starts in the padding and batch norm counts it. Its model has no fully connected layer; here the
decoder is put straight on the recurrent layers, so that both have the same 48.0 M weights and do the same work. The
systems take turns, so that a busy machine slows them alike. Rates count the 2600 real frames; GFLOP/s count three
times the forward's products as each executes them, padding included where it is computed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from s2s_asr.encoders.conv2d import Conv2dSpec
from s2s_asr.encoders.deepspeech2 import DeepSpeech2Encoder

LENGTHS, TARGETS, FEATURES, LABELS = [800, 700, 600, 500], [60, 50, 40, 30], 64, 29
GRU_MULTIPLIES = sum(2 * 3 * 800 * (inputs + 800) for inputs in (512, 1600, 1600, 1600, 1600))
CONV_MULTIPLIES = 32 * 11 * 41 * 32 + 32 * 32 * 11 * 21 * 16
"""For each frame of the halved time axis."""


class TorchDeepSpeech2(nn.Module):
    """What a user would write: ``packed`` decides whether the GRU sees lengths; the convolutions never do."""

    def __init__(self, packed: bool):
        super().__init__()
        self.packed = packed
        self.conv = nn.Sequential(
            nn.Conv2d(1, 32, (11, 41), (2, 2), (5, 20), bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, (11, 21), (1, 2), (5, 10), bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        )
        self.rnn = nn.GRU(512, 800, 5, bidirectional=True, batch_first=True, dropout=0.2)
        self.out = nn.Linear(1600, LABELS)

    def forward(self, features, lengths):
        x = self.conv(features[:, None]).transpose(1, 2).flatten(2)
        counts = (lengths + 1) // 2
        if self.packed:
            packed = nn.utils.rnn.pack_padded_sequence(x, counts, batch_first=True)
            x, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        else:
            x, _ = self.rnn(x)
        return self.out(x), counts


class OurDeepSpeech2(nn.Module):
    """The encoder as it is, its fully connected layer in the decoder's place."""

    def __init__(self):
        super().__init__()
        convs = [Conv2dSpec(32, (11, 41), (2, 2)), Conv2dSpec(32, (11, 21), (1, 2))]
        self.encoder = DeepSpeech2Encoder(FEATURES, convs, "gru", 5, 800, dropout=0.2)
        self.encoder.add_module("project", nn.Identity())
        self.out = nn.Linear(1600, LABELS)

    def forward(self, features, lengths):
        x, counts = self.encoder(features, lengths)
        return self.out(x), counts


class Trainer:
    """One system in one precision: a step is zeroed gradients, forward, loss, backward, clipping and update."""

    def __init__(self, name, make, precision, frames):
        torch.manual_seed(0)
        self.name, self.precision = name, precision
        self.model = make()
        self.gflop = 3 * 2 * frames * (GRU_MULTIPLIES + CONV_MULTIPLIES + 1600 * LABELS) / 1e9
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.features, self.lengths = torch.randn(4, 800, FEATURES), torch.tensor(LENGTHS)
        self.targets, self.target_lengths = torch.randint(0, LABELS - 1, (4, 60)), torch.tensor(TARGETS)
        self.seconds = []

    def step(self):
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            logits, counts = self.model(self.features, self.lengths)
        scores = logits.float().log_softmax(-1).transpose(0, 1)
        loss = F.ctc_loss(scores, self.targets, counts, self.target_lengths, LABELS - 1, zero_infinity=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 100.0)
        self.optimizer.step()
        self.seconds.append(time.perf_counter() - start)

    def row(self, ceiling):
        median = statistics.median(self.seconds[1:])
        rate = self.gflop / median
        return {
            "system": self.name,
            "precision": self.precision,
            "frames_per_s": round(sum(LENGTHS) / median, 1),
            "seconds_median": round(median, 3),
            "seconds_min": round(min(self.seconds[1:]), 3),
            "seconds_max": round(max(self.seconds[1:]), 3),
            "steps": len(self.seconds) - 1,
            "gflop_per_s": round(rate, 1),
            "share_of_ceiling": round(rate / ceiling, 3),
            "parameters": sum(p.numel() for p in self.model.parameters()),
        }


def measured_ceiling(precision):
    """GFLOP/s of a 2048-cube matrix product, the best of several."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(2048, 2048).to(dtype), torch.randn(2048, 2048).to(dtype)
    best = float("inf")
    for _ in range(12):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best / 1e9


def compare(precision, steps):
    real, padded = sum((n + 1) // 2 for n in LENGTHS), 4 * max(LENGTHS) // 2
    systems = [
        Trainer("s2s", OurDeepSpeech2, precision, real),
        Trainer("torch, padded", lambda: TorchDeepSpeech2(False), precision, padded),
        Trainer("torch, packed", lambda: TorchDeepSpeech2(True), precision, real),
    ]
    ceilings = [measured_ceiling(precision)]
    for _ in range(steps + 1):  # the first warms up
        for system in systems:
            system.step()
    ceilings.append(measured_ceiling(precision))
    rows = [system.row(max(ceilings)) for system in systems]
    for row in rows:
        row["times_padded"] = round(row["frames_per_s"] / rows[1]["frames_per_s"], 2)
        row["ceiling_gflop_per_s"] = round(max(ceilings), 1)
    return rows


def table(rows):
    lines = [
        "| system | precision | frames/s | s/step (min..max) | GFLOP/s | of ceiling | x padded |",
        "|" + "---|" * 7,
    ]
    for r in rows:
        times = f"{r['seconds_median']:.2f} ({r['seconds_min']:.2f}..{r['seconds_max']:.2f})"
        share = f"{100 * r['share_of_ceiling']:.0f} % of {r['ceiling_gflop_per_s']:.0f}"
        cells = (r["system"], r["precision"], f"{r['frames_per_s']:.0f}", times, f"{r['gflop_per_s']:.0f}", share)
        lines.append("| " + " | ".join((*cells, f"{r['times_padded']:.2f}")) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "asr_train_ds2.json")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    rows = [row for precision in arguments.precisions for row in compare(precision, arguments.steps)]
    print(table(rows))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({"torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
