"""A training step of an AWD-LSTM sized language model: s2s with everything on, and a plain torch.nn.LSTM beside it.

    OMP_NUM_THREADS=2 python benchmarks/lm_train.py

Vocabulary 33278, embedding 400 tied with the output, LSTM 400-1150-1150-400, batch 20 x 70 tokens, state carried over,
Adam, gradient norm 0.25. The plain loop has ordinary dropout 0.4 and `torch.optim.Adam` as it comes. s2s has what
AWD-LSTM has: weight drop 0.5, word and variational dropout, both activation penalties; and Adam's fused form. Rates
count the 1400 tokens. GFLOP/s count three times the forward's products; ``share`` is of the machine's own 4096-cube
``torch.mm`` in the same precision.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from machine import cpu_name
from timing import LocalSystem, System, cpu_ratio, interleave, print_table, summary
from torch import nn

from s2s_core.cli.ceiling import library_product_flops
from s2s_lm.decoders.linear import LinearDecoder
from s2s_lm.encoders.recurrent import AwdLstmEncoder
from s2s_lm.interfaces import State
from s2s_lm.losses.cross_entropy import CrossEntropy

VOCAB, SIZE, HIDDEN, ROWS, TIME = 33278, 400, 1150, 20, 70
HERE = Path(__file__).parent
COLUMNS = [
    *("precision", "system", "tokens_per_s", "times_peer", "cpu_times_peer"),
    *("seconds_median", "seconds_min", "seconds_max", "gflop_per_s", "share"),
]


class Ours:
    """AWD-LSTM with every kind of dropout and both penalties."""

    def __init__(self, precision: str) -> None:
        self.encoder, self.decoder = AwdLstmEncoder(VOCAB), LinearDecoder(SIZE, VOCAB)
        self.decoder.tie(self.encoder)
        self.parameters = list(dict.fromkeys([*self.encoder.parameters(), *self.decoder.parameters()]))
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)
        self.loss, self.bf16 = CrossEntropy(), precision == "bf16"
        self.text = torch.randint(VOCAB, (ROWS, TIME + 1))
        self.state: State = self.encoder.initial_state(ROWS)

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            encodings, state = self.encoder(self.text[:, :-1], self.state)
            loss = self.loss(self.decoder, encodings.flatten(0, 1), self.text[:, 1:].flatten()).mean
        assert self.encoder.penalty is not None
        (loss + self.encoder.penalty).backward()
        self.state = tuple(part.detach() for part in state)
        nn.utils.clip_grad_norm_(self.parameters, 0.25)
        self.optimizer.step()


class Plain:
    """The same layers from torch.nn, with ordinary dropout."""

    def __init__(self, precision: str) -> None:
        sizes = [SIZE, HIDDEN, HIDDEN, SIZE]
        self.embedding, self.output = nn.Embedding(VOCAB, SIZE), nn.Linear(SIZE, VOCAB)
        self.output.weight = self.embedding.weight
        self.layers = nn.ModuleList(nn.LSTM(sizes[i], sizes[i + 1], batch_first=True) for i in range(3))
        self.parameters = [*self.embedding.parameters(), *self.layers.parameters(), self.output.bias]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)
        self.text, self.bf16 = torch.randint(VOCAB, (ROWS, TIME + 1)), precision == "bf16"
        self.states: list[tuple[torch.Tensor, ...] | None] = [None] * 3

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            hidden = nn.functional.dropout(self.embedding(self.text[:, :-1]), 0.4)
            for number, layer in enumerate(self.layers):
                hidden, state = layer(hidden, self.states[number])
                hidden = nn.functional.dropout(hidden, 0.4)
                self.states[number] = tuple(part.detach() for part in state)
            logits = self.output(hidden)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), self.text[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 0.25)
        self.optimizer.step()


def compare(precision: str, steps: int) -> list[dict]:
    torch.manual_seed(0)
    ours, plain = Ours(precision), Plain(precision)
    systems = {"s2s": LocalSystem(ours.step), "torch.nn.LSTM": LocalSystem(plain.step)}
    seconds = interleave(dict[str, System](systems), steps)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    ceilings = library_product_flops(dtype, torch.device("cpu"))
    products = sum(p.numel() for p in ours.parameters if p.dim() == 2)  # the tied matrix is a product once
    gflop = 3 * 2 * products * ROWS * TIME / 1e9
    rows = []
    for name, taken in seconds.items():
        row: dict = {"precision": precision, "system": name, **summary(taken)}
        row["tokens_per_s"] = round(ROWS * TIME / row["seconds_median"])
        row["times_peer"] = round(summary(seconds["torch.nn.LSTM"])["seconds_median"] / row["seconds_median"], 2)
        row["cpu_times_peer"] = cpu_ratio(systems["torch.nn.LSTM"], systems[name])
        row["gflop_per_s"] = round(gflop / row["seconds_median"], 1)
        row["share"] = round(row["gflop_per_s"] * 1e9 / ceilings["torch.mm"], 2)
        row["parameters"] = sum(p.numel() for p in ours.parameters)
        row["ceilings_gflop_per_s"] = {library: round(flops / 1e9, 1) for library, flops in ceilings.items()}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=["fp32", "bf16"], action="append", help="default: both")
    parser.add_argument("--steps", type=int, default=7, help="timed steps of each system")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "lm_train.json")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    rows = []
    for precision in args.precision or ["fp32", "bf16"]:
        print(f"lm-train {precision} ...", file=sys.stderr, flush=True)
        rows += compare(precision, args.steps)
    print_table(rows, COLUMNS)
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "processor": cpu_name()}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
