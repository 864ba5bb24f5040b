"""How many one-second clips the sound loader feeds, and how many the device can augment.

    python benchmarks/commands_loader.py [--clips 4000] [--workers 2]

16-bit WAV files of noise at 16 kHz, in the manifests that ``prepare`` writes, in batches of 128. ``load`` reads and
batches them in worker processes; augmentation is not its work: it runs on the training device for whole batches, so it
is timed apart, on this machine's processor or GPU, with what the ResNet-50 recipe does (pitch, stretch, noise), with
the MatchboxNet recipe's (shift, noise, masks), and as the log-mel features alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from timing import print_table

from s2s_commands.prepare.sounds import prepare_sounds
from s2s_commands.sound_data import SoundData, SoundDetails
from s2s_core.audio.augment import Augment, Pitch, SpecAugment, Stretch, TimeShift, WhiteNoise
from s2s_core.audio.features import LogMel

RATE = 16000
BATCH = 128
HERE = Path(__file__).parent


def write_corpus(root: Path, clips: int) -> Path:
    rng = np.random.default_rng(0)
    for number in range(clips):
        folder = root / "audio" / "train" / f"word{number % 30:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.05, RATE), RATE)
    prepare_sounds("folders", root / "audio", root / "manifests", jobs=2)
    return root / "manifests" / "train.jsonl.gz"


def load(manifest: Path, workers: int, epochs: int) -> float:
    data = SoundData(
        train=str(manifest),
        batch_size=BATCH,
        num_workers=workers,
        details=SoundDetails(sample_rate_hz=RATE, keep_audio_mb=0),
    )
    data.setup("fit")
    loader = data.train_dataloader()
    next(iter(loader))  # starts the workers, which live on
    start, count = time.perf_counter(), 0
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch + 1)
        count += sum(len(batch.ids) for batch in loader)
    return count / (time.perf_counter() - start)


def on_device(work: Callable[[torch.Tensor, torch.Tensor, torch.Generator], object], steps: int) -> float:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    audio = 0.1 * torch.randn(BATCH, RATE, generator=torch.Generator().manual_seed(0)).to(device)
    lengths = torch.full((BATCH,), RATE, device=device)
    generator = torch.Generator().manual_seed(1)
    best = float("inf")
    for _ in range(steps + 1):  # the first makes the constants
        start = time.perf_counter()
        work(audio, lengths, generator)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return BATCH / best


def chain(augment: Augment, features: LogMel) -> Callable[[torch.Tensor, torch.Tensor, torch.Generator], object]:
    def work(audio: torch.Tensor, lengths: torch.Tensor, generator: torch.Generator) -> object:
        audio, lengths = augment.wave_batch(audio, lengths, generator)
        frames, lengths = features(audio, lengths)
        return augment.feature_batch(frames, lengths, generator)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    features = LogMel(64, RATE, window_ms=25.0)
    noise = WhiteNoise(-90, -46)
    works = {
        "features": chain(Augment(), features),
        "shift, noise, masks, features": chain(Augment([TimeShift(100), noise], [SpecAugment()]), features),
        "pitch, stretch, noise, features": chain(Augment([Pitch(2.0), Stretch(0.2), noise]), features),
    }
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_corpus(Path(folder), options.clips)
        loaded = load(manifest, options.workers, 2)
    rows = [{"work": f"load, {options.workers} workers", "clips_per_s": round(loaded)}]
    rows += [{"work": name, "clips_per_s": round(on_device(work, options.steps))} for name, work in works.items()]
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} threads"
    print_table(rows, ["work", "clips_per_s"])
    (HERE / "results").mkdir(exist_ok=True)
    report = {"batch": BATCH, "device": where, "results": rows}
    (HERE / "results" / "commands_loader.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
