"""A training step of an attentive LSTM translator of GNMT's width: s2s, and OpenNMT-py beside it, in turns.

    OMP_NUM_THREADS=2 python benchmarks/nmt_train_gnmt.py --peer-python PYTHON_WITH_OPENNMT

64 pairs of 5 to 50 random tokens and the end of sentence (1854 and 1860 tokens); 4 bidirectional LSTM layers of 512 a
direction, 4 of 1024 in the decoder, which starts from the encoder's state; vectors of 1024 shared by source, target
and output, vocabulary 32768; Luong's general attention, without and with input feeding; dropout .1, label smoothing
.1, Adam; the loss averaged over target tokens. A step is zeroed gradients, forward, loss, backward and update.

Rates count target tokens. GFLOP/s count three times the forward's products, on real tokens for s2s; OpenNMT-py packs
the encoder and pads the decoder to 64 x 51. ``share`` is of the machine's own 4096-cube ``torch.mm`` in the same
precision, measured in the same run; it can pass 1 where oneDNN's products are faster than that.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from contextlib import ExitStack
from pathlib import Path

import torch
from nmt_batch import PAIRS, VOCAB, sentences
from timing import LocalSystem, PeerSystem, System, interleave, print_table, summary

from s2s_core.cli.ceiling import library_product_flops
from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_nmt.decoders.rnn import RnnAttention, RnnDecoder
from s2s_nmt.encoders.rnn import RnnEncoder
from s2s_nmt.interfaces import BOS_ID, EOS_ID
from s2s_nmt.losses.cross_entropy import CrossEntropyLoss

SIZE, LAYERS, DROPOUT, STEPS = 1024, 4, 0.1, 5
HERE = Path(__file__).parent
COLUMNS = [
    *("workload", "precision", "system", "target_tokens_per_s", "times_peer"),
    *("seconds_median", "seconds_min", "seconds_max", "gflop_per_s", "share"),
]


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows]), torch.tensor([len(row) for row in rows])


class Training:
    """Our step."""

    def __init__(self, feeding: bool, precision: str) -> None:
        attention = RnnAttention("luong", input_feeding=feeding)
        encoding = RecurrentLayers(SIZE // 2, LAYERS, output_dropout=DROPOUT)
        decoding = RecurrentLayers(SIZE, LAYERS, output_dropout=DROPOUT)
        self.encoder = RnnEncoder(VOCAB, SIZE, encoding)
        self.decoder = RnnDecoder(VOCAB, SIZE, SIZE, decoding, attention, "copy", tie_output=True)
        self.decoder.embedding = self.encoder.embedding
        self.loss = CrossEntropyLoss(label_smoothing=0.1)
        self.bf16 = precision == "bf16"
        self.parameters = list({id(p): p for part in (self.encoder, self.decoder) for p in part.parameters()}.values())
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-4, betas=(0.9, 0.998), fused=True)
        source, target = sentences(EOS_ID)
        self.source = padded(source)
        self.shifted, self.lengths = padded([[BOS_ID, *row[:-1]] for row in target])
        self.tokens = torch.tensor([token for row in target for token in row])

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits = self.decoder(self.encoder(*self.source), self.shifted, self.lengths)
        self.loss(logits, self.tokens, self.lengths).mean.backward()
        self.optimizer.step()


def gflop(source_tokens: int, target_tokens: int, feeding: bool) -> float:
    """Three times the forward's products: 2 a weight and token."""
    encoder = LAYERS * 2 * 4 * (SIZE // 2) * (SIZE + SIZE // 2)
    decoder = LAYERS * 4 * SIZE * 2 * SIZE + feeding * 4 * SIZE * SIZE + 2 * SIZE * SIZE + SIZE * VOCAB
    return 3 * 2 * (source_tokens * (encoder + SIZE * SIZE) + target_tokens * decoder) / 1e9


def compare(feeding: bool, precision: str, peer_python: str | None, steps: int) -> list[dict]:
    torch.manual_seed(0)
    ours = Training(feeding, precision)
    with ExitStack() as stack:
        systems: dict[str, System] = {"s2s": LocalSystem(ours.step)}
        if peer_python:
            command = [peer_python, str(HERE / "nmt_train_gnmt_onmt.py"), precision, str(int(feeding))]
            systems["OpenNMT-py"] = stack.enter_context(PeerSystem(command))
        seconds = interleave(systems, steps)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    ceilings = library_product_flops(dtype, torch.device("cpu"))
    source_tokens, target_tokens = int(ours.source[1].sum()), len(ours.tokens)
    work = {
        "s2s": gflop(source_tokens, target_tokens, feeding),
        "OpenNMT-py": gflop(source_tokens, PAIRS * ours.shifted.shape[1], feeding),
    }
    rows = []
    for name, taken in seconds.items():
        row: dict = {"workload": "nmt-train-gnmt" + (", input feeding" if feeding else ""), "precision": precision}
        row |= {"system": name, **summary(taken)}
        row["target_tokens_per_s"] = round(target_tokens / row["seconds_median"])
        if "OpenNMT-py" in seconds:
            peer = summary(seconds["OpenNMT-py"])["seconds_median"]
            row["times_peer"] = round(peer / row["seconds_median"], 2)
        row["gflop_per_s"] = round(work[name] / row["seconds_median"], 1)
        row["share"] = round(row["gflop_per_s"] * 1e9 / ceilings["torch.mm"], 2)
        row["parameters"] = sum(p.numel() for p in ours.parameters)
        row["ceilings_gflop_per_s"] = {library: round(flops / 1e9, 1) for library, flops in ceilings.items()}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=["fp32", "bf16"], action="append", help="default: both")
    parser.add_argument("--input-feeding", choices=["yes", "no"], action="append", help="default: both")
    parser.add_argument("--peer-python", help="a Python that has OpenNMT-py 3.0.4")
    parser.add_argument("--steps", type=int, default=STEPS, help="timed steps of each system")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "nmt_train_gnmt.json")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    rows = []
    for feeding in args.input_feeding or ["no", "yes"]:
        for precision in args.precision or ["fp32", "bf16"]:
            print(f"input feeding: {feeding}, {precision} ...", file=sys.stderr, flush=True)
            rows += compare(feeding == "yes", precision, args.peer_python, args.steps)
    print_table(rows, COLUMNS)
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.machine()}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
