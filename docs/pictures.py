"""Draws the README's picture: a run's training curve, and a recording's spectrogram with the words recognised in it.

make docs
.venv/bin/python docs/pictures.py runs/quickstart/run1 RECORDING docs/images/quickstart.png
"""

from __future__ import annotations

import argparse
import csv
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from s2s_asr.transcribe import Transcript

LARGEST_PNG_BYTES = 150_000
COLOURS = 96
LOSS_COLOUR, WER_COLOUR = "#7a869a", "#c8553d"


def main() -> None:
    """Draw the picture that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run folder that `fit` wrote")
    parser.add_argument("recording", type=Path, help="what the run's best checkpoint is to transcribe")
    parser.add_argument("output", type=Path, help="the PNG")
    options = parser.parse_args()
    from s2s_asr.transcribe import Transcriber

    transcriber = Transcriber.load(options.run / "checkpoints" / "best.ckpt")
    transcript = transcriber.transcribe([options.recording])[0]
    draw(options.run, options.recording, transcript, options.output)
    size = options.output.stat().st_size
    print(f"{options.output}: {size / 1000:.0f} kB; heard: {transcript.text}")
    if size > LARGEST_PNG_BYTES:
        raise SystemExit(f"{options.output} is larger than {LARGEST_PNG_BYTES // 1000} kB: take a shorter recording")


def draw(run: Path, recording: Path, transcript: Transcript, output: Path) -> None:
    """Draw the training curve on the left and the recording on the right."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.titlelocation": "left"})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.2), width_ratios=(1, 1.7), layout="constrained")
    draw_curve(left, run)
    draw_recording(right, recording, transcript)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110)
    output.parent.mkdir(parents=True, exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(output, optimize=True)


def draw_curve(axes: Axes, run: Path) -> None:
    """Draw the training loss and the validation word error rate over the steps of a run's CSV log."""
    logs = sorted(run.glob("csv/version_*/metrics.csv"), key=lambda path: int(path.parent.name.split("_")[1]))
    if not logs:
        raise SystemExit(f"{run}: no csv/version_*/metrics.csv in it; `fit` writes one")
    loss, wer = (series(logs, key) for key in ("train/loss", "val/wer"))
    axes.plot(*loss, color=LOSS_COLOUR, linewidth=1)
    axes.set(xlabel="step", title="Training")
    axes.set_yscale("log")
    axes.set_ylabel("training loss", color=LOSS_COLOUR)
    other = axes.twinx()
    other.plot(wer[0], 100 * wer[1], color=WER_COLOUR, marker="o", markersize=3, linewidth=1.5)
    other.set_ylim(0, 100)
    other.set_ylabel("validation WER, %", color=WER_COLOUR)
    other.annotate(
        f"{100 * wer[1][-1]:.1f} %", (wer[0][-1], 100 * wer[1][-1]), xytext=(-4, 8), textcoords="offset points",
        ha="right", color=WER_COLOUR,
    )  # fmt: skip


def series(logs: list[Path], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of a logged key, over the logs of a run and its resumptions."""
    rows = [row for log in logs for row in csv.DictReader(log.read_text(encoding="utf-8").splitlines())]
    found = {int(row["step"]): float(row[key]) for row in rows if row.get(key)}
    if not found:
        raise SystemExit(f"{logs[-1]}: holds no '{key}'")
    steps = np.array(sorted(found))
    return steps, np.array([found[step] for step in steps])


def draw_recording(axes: Axes, recording: Path, transcript: Transcript) -> None:
    """Draw a log spectrogram, the recognised words above it where they were heard."""
    import soundfile
    from scipy.signal import spectrogram

    audio, rate_hz = soundfile.read(recording, dtype="float32", always_2d=True)
    window, hop = int(0.025 * rate_hz), int(0.01 * rate_hz)
    hz, seconds, power = spectrogram(audio.mean(axis=1), rate_hz, nperseg=window, noverlap=window - hop, nfft=1024)
    decibel = 10 * np.log10(power + 1e-10)
    floor, top = np.quantile(decibel, (0.3, 0.999))
    axes.pcolormesh(seconds, hz / 1000, decibel, vmin=floor, vmax=top, cmap="magma", shading="auto", rasterized=True)
    axes.set(xlabel="seconds", ylabel="kHz", ylim=(0, min(8, rate_hz / 2000)))
    axes.spines["right"].set_visible(False)
    for word in transcript.words:
        middle_s = (word.start_s + word.end_s) / 2
        axes.axvline(word.start_s, color="white", linewidth=0.6, alpha=0.6)
        axes.annotate(
            word.text, (middle_s, 1.02), xycoords=("data", "axes fraction"), ha="center", va="bottom", rotation=20
        )


if __name__ == "__main__":
    main()
