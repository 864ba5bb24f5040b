"""Beam-4 translation with Transformer-base: s2s, and Hugging Face `generate` and CTranslate2 beside it, in turns.

    OMP_NUM_THREADS=2 python benchmarks/nmt_translate.py --peer-python PYTHON_WITH_TRANSFORMERS_AND_CTRANSLATE2

64 source sentences of 5 to 50 tokens and their ends (1854 tokens) as one batch, 6 + 6 layers of 512, vocabulary 32768,
random weights, beam 4. The end of sentence is forbidden until 60 tokens, and the search stopped there, so that every
system makes 64 x 60 = 3840 tokens. Encoding is timed, tokenising is not. Precisions: fp32; bf16, the whole model in
bfloat16; int8, linear layers quantised dynamically. ``times_hf`` is the rate over Hugging Face's in the same
precision, ``times_ctranslate2`` over CTranslate2's in float32 for fp32 and over its int8 for bf16 and int8. GFLOP/s
count real source tokens and 256 rows by 60 steps.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from timing import LocalSystem, PeerSystem, System, interleave, print_table, summary

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.host_memory import keep_freed_memory
from s2s_core.nn.serving import prepare_for_serving
from s2s_core.nn.transformer import LayerSpec
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.transformer import TransformerEncoder
from s2s_nmt.interfaces import BOS_ID, EOS_ID, Decoder, Encoder
from s2s_nmt.pairs import pad_tokens

HERE = Path(__file__).parent
VOCAB, SENTENCES, BEAM, TOKENS = 32768, 64, 4, 60
LAYERS, FEATURES, INNER = 6, 512, 2048
PRECISIONS = ("fp32", "bf16", "int8")
PEERS = ("HF generate", "CTranslate2")
COLUMNS = [
    *("precision", "system", "tokens_per_s", "times_hf", "times_ctranslate2"),
    *("seconds_median", "seconds_min", "seconds_max", "gflop_per_s"),
]


def sources() -> list[list[int]]:
    """The peers' batch: lengths of both sides come from the generator before the tokens."""
    rng = np.random.default_rng(0)
    lengths, _ = rng.integers(5, 51, SENTENCES), rng.integers(5, 51, SENTENCES)
    return [rng.integers(4, 32760, length).tolist() for length in lengths]


class Translation:
    """Our model, ready to translate the batch."""

    def __init__(self, precision: str, tokens: int) -> None:
        torch.manual_seed(0)
        layer = LayerSpec(features=FEATURES, heads=8, inner=INNER, pre_norm=False)
        encoder = TransformerEncoder(VOCAB, LAYERS, layer)
        decoder = TransformerDecoder(FEATURES, VOCAB, LAYERS, layer)
        decoder.embedding = encoder.embedding
        served = prepare_for_serving([encoder, decoder], "bf16" if precision == "bf16" else "fp32", precision == "int8")
        self.encoder, self.decoder = served
        self.search = BeamSearch(BEAM, min_length=tokens, max_length_ratio=0.0, max_length_extra=tokens)
        self.source, self.lengths = pad_tokens(sources())
        self.tokens = tokens

    @torch.inference_mode()
    def step(self) -> None:
        assert isinstance(self.encoder, Encoder)
        assert isinstance(self.decoder, Decoder)
        memory = self.encoder(self.source, self.lengths)
        found = self.search(self.decoder, self.decoder.start(memory), memory.lengths, BOS_ID, EOS_ID)
        assert {len(row[0].tokens) for row in found} == {self.tokens}


def gflop(tokens: int) -> float:
    """Of the products of weights and of attention, 2 a multiplication."""
    source = sum(len(row) + 1 for row in sources())
    encoder = source * LAYERS * (4 * FEATURES**2 + 2 * FEATURES * INNER)
    cross = source * LAYERS * 2 * FEATURES**2
    attention = 2 * FEATURES * (tokens // 2 + source // SENTENCES)
    step = LAYERS * (6 * FEATURES**2 + 2 * FEATURES * INNER + attention) + FEATURES * VOCAB
    return 2 * (encoder + cross + SENTENCES * BEAM * tokens * step) / 1e9


def compare(precisions: list[str], peer_python: str | None, steps: int, tokens: int) -> list[dict]:
    with ExitStack() as stack:
        systems: dict[str, System] = {f"s2s {name}": LocalSystem(Translation(name, tokens).step) for name in precisions}
        if peer_python:
            for system in PEERS:
                for precision in PRECISIONS:
                    if (system, precision) not in (("HF generate", "int8"), ("CTranslate2", "bf16")):
                        command = [peer_python, str(HERE / "nmt_translate_peers.py"), system, precision, str(tokens)]
                        systems[f"{system} {precision}"] = stack.enter_context(PeerSystem(command))
        seconds = interleave(systems, steps)
    rows = []
    medians = {name: summary(taken)["seconds_median"] for name, taken in seconds.items()}
    for name, taken in seconds.items():
        system, precision = name.rsplit(" ", 1)
        row: dict = {"precision": precision, "system": system, **summary(taken)}
        row["tokens_per_s"] = round(SENTENCES * tokens / medians[name])
        others = {"times_hf": f"HF generate {precision}"}
        others["times_ctranslate2"] = "CTranslate2 " + ("fp32" if precision == "fp32" else "int8")
        row |= {key: round(medians[other] / medians[name], 2) for key, other in others.items() if other in medians}
        row["gflop_per_s"] = round(gflop(tokens) / medians[name], 1)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=PRECISIONS, action="append", help="of ours; default: all")
    parser.add_argument("--peer-python", help="a Python that has transformers and ctranslate2")
    parser.add_argument("--steps", type=int, default=5, help="timed batches of each system (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="a sentence; fewer to try it (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "nmt_translate.json")
    args = parser.parse_args()
    keep_freed_memory()  # as the command does
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    rows = compare(args.precision or list(PRECISIONS), args.peer_python, args.steps, args.tokens)
    print_table(rows, COLUMNS)
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.machine()}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({**about, "tokens": args.tokens, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
