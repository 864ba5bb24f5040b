"""A training step of Transformer-base: s2s, and Hugging Face's Marian beside it, in turns on the same cores.

    OMP_NUM_THREADS=2 python benchmarks/nmt_train.py --peer-python PYTHON_WITH_TRANSFORMERS

64 random sentence pairs of 5 to 50 tokens a side plus the end of sentence: 1854 source and 1860 target tokens. 6 + 6
post-norm layers of 512, 8 heads, 2048 inner features, dropout and attention dropout 0.1, one embedding of 32768 tokens
for source, target and output, label smoothing 0.1, Adam; a step is zeroed gradients, forward, loss over the target
tokens, backward and update. ``bf16`` is autocast with float32 weights; ``bf16-master`` (s2s only, compared with the
peer's ``bf16``) bfloat16 weights with float32 masters.

GFLOP/s count three times the forward's products and attention: on real tokens for s2s, which computes no padding in its
linear layers, and on padded ones for the peer. ``share`` is of the machine's own 4096-cube ``torch.mm`` in the same
precision, measured in the same run; it can pass 1 where oneDNN's products are faster than that.

``--check`` compares outputs instead: a Marian model's random weights, copied, give its logits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import LocalSystem, PeerSystem, System, interleave, print_table, summary
from torch import Tensor, nn

from s2s_core.cli.ceiling import library_product_flops
from s2s_core.nn.attention import CrossAttention, SelfAttention
from s2s_core.nn.transformer import LayerSpec, TransformerLayer
from s2s_core.precision.half_copies import HalfCopies
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.transformer import TransformerEncoder
from s2s_nmt.interfaces import BOS_ID, EOS_ID, PAD_ID
from s2s_nmt.losses.cross_entropy import CrossEntropyLoss

VOCAB, PAIRS, LAYERS, FEATURES, INNER = 32768, 64, 6, 512, 2048
PRECISIONS = {"fp32": "fp32", "bf16": "bf16", "bf16-master": "bf16"}
"""Ours, and the peer's that it is compared with."""
HERE = Path(__file__).parent
PEER = HERE / "nmt_train_marian.py"
COLUMNS = [
    *("precision", "system", "target_tokens_per_s", "times_peer"),
    *("seconds_median", "seconds_min", "seconds_max", "gflop_per_s", "share"),
]


def sentences() -> tuple[list[list[int]], list[list[int]]]:
    """Source and target tokens without ends, the same in `nmt_train_marian.py`."""
    rng = np.random.default_rng(0)
    lengths = [rng.integers(5, 51, PAIRS) for _ in range(2)]
    source, target = ([rng.integers(4, VOCAB - 8, n).tolist() for n in side] for side in lengths)
    return source, target


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(row) for row in rows])
    tokens = [row + [PAD_ID] * (int(lengths.max()) - len(row)) for row in rows]
    return torch.tensor(tokens), lengths


def build(**options: Any) -> tuple[TransformerEncoder, TransformerDecoder]:
    spec = LayerSpec(FEATURES, 8, INNER, dropout=0.1, attention_dropout=0.1, pre_norm=False)
    encoder = TransformerEncoder(VOCAB, LAYERS, spec, **options)
    decoder = TransformerDecoder(FEATURES, VOCAB, LAYERS, spec, **options)
    encoder.embedding = decoder.embedding
    return encoder, decoder


class Training:
    """Our step."""

    def __init__(self, precision: str) -> None:
        torch.manual_seed(0)
        self.encoder, self.decoder = build()
        self.model = nn.ModuleList([self.encoder, self.decoder])
        self.loss = CrossEntropyLoss(0.1)
        self.half = precision != "fp32"
        self.copies = HalfCopies(self.model, torch.bfloat16, []) if precision == "bf16-master" else None
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4, betas=(0.9, 0.998), fused=True)
        source, target = sentences()
        self.source, self.source_lengths = padded([[*row, EOS_ID] for row in source])
        self.shifted, self.target_lengths = padded([[BOS_ID, *row] for row in target])
        self.target = torch.tensor([token for row in target for token in (*row, EOS_ID)])

    def step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        if self.copies is None:
            self.forward().backward()
        else:
            self.copies.refresh()
            with self.copies.installed():
                self.forward().backward()
            self.copies.move_gradients()
        self.optimizer.step()

    def forward(self) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            memory = self.encoder(self.source, self.source_lengths)
            logits = self.decoder(memory, self.shifted, self.target_lengths)
        return self.loss(logits, self.target, self.target_lengths).mean


def gflop(source: list[int], target: list[int]) -> float:
    """Of a step on sentences of these lengths: 2 a multiply-add, and the backward costs two forwards."""
    square, feed_forward = FEATURES**2, 2 * FEATURES * INNER
    products = sum(source) * LAYERS * (4 * square + feed_forward + 2 * square)
    products += sum(target) * (LAYERS * (6 * square + feed_forward) + FEATURES * VOCAB)
    pairs = sum(s * s + t * t + s * t for s, t in zip(source, target, strict=True))
    return 3 * 2 * (products + LAYERS * 2 * FEATURES * pairs) / 1e9


def compare(precision: str, peer_python: str | None, steps: int) -> list[dict]:
    ours = Training(precision)
    with ExitStack() as stack:
        systems: dict[str, System] = {"s2s": LocalSystem(ours.step)}
        if peer_python:
            command = [peer_python, str(PEER), PRECISIONS[precision]]
            systems["HF Marian"] = stack.enter_context(PeerSystem(command))
        seconds = interleave(systems, steps)
    ceilings = library_product_flops(torch.float32 if precision == "fp32" else torch.bfloat16, torch.device("cpu"))
    lengths = ours.source_lengths.tolist(), ours.target_lengths.tolist()
    rows = []
    for name, taken in seconds.items():
        row: dict = {"precision": precision if name == "s2s" else PRECISIONS[precision], "system": name}
        row |= summary(taken)
        row["target_tokens_per_s"] = round(len(ours.target) / row["seconds_median"])
        if "HF Marian" in seconds:
            row["times_peer"] = round(summary(seconds["HF Marian"])["seconds_median"] / row["seconds_median"], 2)
        computed = lengths if name == "s2s" else tuple([max(side)] * PAIRS for side in lengths)
        row["gflop_per_s"] = round(gflop(*computed) / row["seconds_median"], 1)
        row["share"] = round(row["gflop_per_s"] * 1e9 / ceilings["torch.mm"], 2)
        row["parameters"] = sum(p.numel() for p in ours.model.parameters())
        row["ceilings_gflop_per_s"] = {library: round(flops / 1e9, 1) for library, flops in ceilings.items()}
        rows.append(row)
    return rows


def check(peer_python: str) -> None:
    """Exit with an error unless our model with Marian's weights gives Marian's logits."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "marian.pt"
        subprocess.run([peer_python, str(PEER), "logits", str(path)], check=True)
        theirs = torch.load(path, weights_only=True)
    weights, expected = theirs["weights"], theirs["logits"]
    # Marian's sinusoids have other wave lengths than ours: its table stands in for learned positions
    encoder, decoder = build(positions="learned", max_length=256)
    with torch.no_grad():
        decoder.embedding.weight.copy_(weights["model.shared.weight"])
        for name, part in (("encoder", encoder), ("decoder", decoder)):
            table = part.input.positions.weight
            assert isinstance(table, Tensor)
            table.copy_(weights[f"model.{name}.embed_positions.weight"])
            for i, layer in enumerate(part.stack.layers):
                assert isinstance(layer, TransformerLayer)
                copy_layer(layer, lambda key, at=f"model.{name}.layers.{i}": weights[f"{at}.{key}"])
        memory = encoder.eval()(theirs["source"], theirs["source_lengths"])
        found = decoder.eval()(memory, theirs["shifted"], theirs["target_lengths"])
    difference = float((found - expected).abs().max())
    print(f"logits of up to {float(expected.abs().max()):.2f} differ by {difference:.1e} at most")
    if difference > 1e-4:
        sys.exit("the same weights give other outputs")


def copy_layer(layer: TransformerLayer, weight_of: Callable[[str], Tensor]) -> None:
    """Fill a layer from Marian's weights by name."""

    def fill(module: nn.Module, *names: str) -> None:
        for kind in ("weight", "bias"):
            getattr(module, kind).copy_(torch.cat([weight_of(f"{name}.{kind}") for name in names]))

    def fill_attention(attention: SelfAttention | CrossAttention, name: str) -> None:
        query, key, value, output = (f"{name}.{letter}_proj" for letter in ("q", "k", "v", "out"))
        if isinstance(attention, SelfAttention):
            fill(attention.projection, query, key, value)
        else:
            fill(attention.query, query)
            fill(attention.memory, key, value)
        fill(attention.output, output)

    fill_attention(layer.attention, "self_attn")
    fill(layer.attention_residual.norm, "self_attn_layer_norm")
    if layer.cross is not None:
        assert layer.cross_residual is not None
        fill_attention(layer.cross, "encoder_attn")
        fill(layer.cross_residual.norm, "encoder_attn_layer_norm")
    fill(layer.feed_forward.widen, "fc1")
    fill(layer.feed_forward.narrow, "fc2")
    fill(layer.feed_forward_residual.norm, "final_layer_norm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=PRECISIONS, action="append", help="default: all")
    parser.add_argument("--peer-python", help="a Python that has Hugging Face transformers 5")
    parser.add_argument("--steps", type=int, default=7, help="timed steps of each system")
    parser.add_argument("--check", action="store_true", help="compare outputs with the peer's instead")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "nmt_train.json")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    if args.check:
        if not args.peer_python:
            parser.error("--check needs --peer-python")
        check(args.peer_python)
        return
    rows = []
    for precision in args.precision or PRECISIONS:
        print(f"{precision} ...", file=sys.stderr, flush=True)
        rows += compare(precision, args.peer_python, args.steps)
    print_table(rows, COLUMNS)
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.machine()}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
