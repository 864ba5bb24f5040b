"""Synthesis with Tacotron 2: s2s and torchaudio's model beside it, in one run on the same cores.

    OMP_NUM_THREADS=2 python benchmarks/tts_infer.py

Published sizes, 148 symbols, 100 of them a text, 300 decoder steps with the stop token disabled, post-net included, one
text and eight. The rate counts mel frames.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from timing import LocalSystem, System, interleave, print_table, summary
from torchaudio.models import Tacotron2

from s2s_tts.decoders.tacotron2 import Tacotron2Decoder
from s2s_tts.encoders.tacotron2 import Tacotron2Encoder
from s2s_tts.interfaces import Memory

SYMBOLS, TOKENS, STEPS = 148, 100, 300
PEER = "torchaudio"
HERE = Path(__file__).parent
COLUMNS = [
    *("precision", "texts", "system", "frames_per_s", "times_peer", "seconds_median", "seconds_min", "seconds_max"),
]


def ours(tokens: torch.Tensor, bf16: bool) -> Callable[[], None]:
    encoder, decoder = Tacotron2Encoder(SYMBOLS).eval(), Tacotron2Decoder(512, stop_threshold=2.0).eval()
    lengths, rows = torch.full((len(tokens),), TOKENS), len(tokens)

    def speak() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            memory = Memory(encoder(tokens, lengths), lengths)
            made = decoder.generate(memory, torch.arange(rows), torch.full((rows,), STEPS))
        assert made.spectrogram.mel.shape == (rows, STEPS, 80)

    return speak


def theirs(tokens: torch.Tensor, bf16: bool) -> Callable[[], None]:
    model = Tacotron2(decoder_max_step=STEPS, gate_threshold=2.0).eval()
    lengths = torch.full((len(tokens),), TOKENS)

    def speak() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            made, _, _ = model.infer(tokens, lengths)
        assert made.shape == (len(tokens), 80, STEPS)

    return speak


def compare(precision: str, texts: int, runs: int) -> list[dict]:
    torch.manual_seed(0)
    tokens = torch.randint(1, SYMBOLS, (texts, TOKENS))
    bf16 = precision == "bf16"
    systems: dict[str, System] = {"s2s": LocalSystem(ours(tokens, bf16)), PEER: LocalSystem(theirs(tokens, bf16))}
    seconds = interleave(systems, runs)
    rows = []
    for name, taken in seconds.items():
        row: dict = {"precision": precision, "texts": texts, "system": name, **summary(taken)}
        row["frames_per_s"] = round(texts * STEPS / row["seconds_median"])
        row["times_peer"] = round(summary(seconds[PEER])["seconds_median"] / row["seconds_median"], 2)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=["fp32", "bf16"], action="append", help="default: both")
    parser.add_argument("--texts", type=int, action="append", help="default: 1 and 8")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each system")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "tts_infer.json")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    warnings.filterwarnings("ignore", message="Reached max decoder steps")
    rows = []
    for precision in args.precision or ("fp32", "bf16"):
        for texts in args.texts or (1, 8):
            rows += compare(precision, texts, args.runs)
    print_table(rows, COLUMNS)
    setting = {"threads": torch.get_num_threads(), "torch": torch.__version__, "machine": platform.machine()}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({"setting": setting, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
