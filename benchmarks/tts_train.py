"""A training step of Tacotron 2: s2s and torchaudio's model beside it, in one run on the same cores.

    OMP_NUM_THREADS=2 python benchmarks/tts_train.py

Published sizes, 148 symbols. Batch 8, 100 symbols, 400 frames of 80 mel bands, all full length; Adam 1e-3, gradient
norm 1.0; the loss is MSE before and after the post-net and the stop token's cross entropy. s2s runs its own model,
masks, loss and fused Adam, torchaudio what a user of it would write. Rates count the 3200 mel frames of a step.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

import torch
from timing import LocalSystem, System, interleave, print_table, summary
from torch import nn
from torchaudio.models import Tacotron2

from s2s_tts.decoders.tacotron2 import Tacotron2Decoder
from s2s_tts.encoders.tacotron2 import Tacotron2Encoder
from s2s_tts.interfaces import Memory, Spectrogram
from s2s_tts.losses.spectrogram import SpectrogramLoss

SYMBOLS, ROWS, TOKENS, FRAMES, MELS = 148, 8, 100, 400, 80
PEER = "torchaudio"
HERE = Path(__file__).parent
COLUMNS = [
    *("precision", "system", "frames_per_s", "times_peer", "seconds_median", "seconds_min", "seconds_max"),
]


class Data:
    """What both systems learn from."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.tokens = torch.randint(1, SYMBOLS, (ROWS, TOKENS), generator=generator)
        self.token_lengths = torch.full((ROWS,), TOKENS)
        self.mel = torch.randn(ROWS, FRAMES, MELS, generator=generator)
        self.lengths = torch.full((ROWS,), FRAMES)


class Ours:
    """Encoder, decoder and loss of s2s."""

    def __init__(self, data: Data, precision: str) -> None:
        self.encoder, self.decoder = Tacotron2Encoder(SYMBOLS), Tacotron2Decoder(512)
        self.parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)
        self.loss, self.data, self.bf16 = SpectrogramLoss(), data, precision == "bf16"

    def step(self) -> None:
        data = self.data
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            memory = Memory(self.encoder(data.tokens, data.token_lengths), data.token_lengths)
            target = Spectrogram(data.mel, data.lengths)
            loss = self.loss(self.decoder(memory, target), target, data.token_lengths)
        loss.sum.mean.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()


class Theirs:
    """torchaudio's model, with the loss that its users write."""

    def __init__(self, data: Data, precision: str) -> None:
        self.model, self.data, self.bf16 = Tacotron2(), data, precision == "bf16"
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.mel = data.mel.mT.contiguous()
        self.gate = torch.zeros(ROWS, FRAMES)
        self.gate[:, -1] = 1.0

    def step(self) -> None:
        data = self.data
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            coarse, fine, gate, _ = self.model(data.tokens, data.token_lengths, self.mel, data.lengths)
        loss = nn.functional.mse_loss(coarse.float(), self.mel) + nn.functional.mse_loss(fine.float(), self.mel)
        (loss + nn.functional.binary_cross_entropy_with_logits(gate.float(), self.gate)).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def compare(precision: str, steps: int) -> list[dict]:
    torch.manual_seed(0)
    data = Data()
    ours, theirs = Ours(data, precision), Theirs(data, precision)
    systems: dict[str, System] = {"s2s": LocalSystem(ours.step), PEER: LocalSystem(theirs.step)}
    seconds = interleave(systems, steps)
    rows = []
    for name, taken in seconds.items():
        row: dict = {"precision": precision, "system": name, **summary(taken)}
        row["frames_per_s"] = round(ROWS * FRAMES / row["seconds_median"])
        row["times_peer"] = round(summary(seconds[PEER])["seconds_median"] / row["seconds_median"], 2)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=["fp32", "bf16"], action="append", help="default: both")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each system")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "tts_train.json")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    rows = []
    for precision in args.precision or ("fp32", "bf16"):
        rows += compare(precision, args.steps)
    print_table(rows, COLUMNS)
    setting = {"threads": torch.get_num_threads(), "torch": torch.__version__, "machine": platform.machine()}
    args.output.parent.mkdir(exist_ok=True)
    args.output.write_text(json.dumps({"setting": setting, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
