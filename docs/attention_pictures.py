"""Draws what attention is for: accuracy by length of two reversal models, with it and without, and an alignment.

lightning run nmt prepare reversal --output data/reversal
lightning run nmt fit --config toy/rr && lightning run nmt fit --config toy/rr-no-attention
.venv/bin/python docs/attention_pictures.py runs/rr runs/rr-no-attention data/reversal/test.arrow attention.png
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from s2s_nmt.translate import Translation

SENTENCES = 500
BUCKET = 5
"""Lengths that are one point of the curve."""
SHOWN_WORDS = 14
"""Length of the sentence whose alignment is drawn."""
COLOURS = 96
WITH_COLOUR, WITHOUT_COLOUR = "#c8553d", "#7a869a"


def main() -> None:
    """Draw the picture that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attending", type=Path, help="the run folder of the model with attention")
    parser.add_argument("plain", type=Path, help="that of the one without")
    parser.add_argument("test", type=Path, help="the .arrow file of sentences to reverse")
    parser.add_argument("output", type=Path, help="the PNG")
    options = parser.parse_args()
    from s2s_core.data.text import TextTable
    from s2s_core.decoding.beam_search import BeamSearch
    from s2s_nmt.translate import Translator

    table = TextTable([options.test])
    rows = range(min(SENTENCES, len(table)))
    sources, targets = ([table.text(side, row) for row in rows] for side in ("source", "target"))
    found = []
    for run in (options.attending, options.plain):
        translator = Translator.load(run / "checkpoints" / "last.ckpt")
        found.append(translator.translate(sources, BeamSearch(beam_width=1)))
    draw(found[0], found[1], targets, options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1000:.0f} kB")


def draw(attending: list[Translation], plain: list[Translation], targets: list[str], output: Path) -> None:
    """Draw the curves on the left and an alignment on the right."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.titlelocation": "left"})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), width_ratios=(1.6, 1), layout="constrained")
    for results, name, colour in ((attending, "with attention", WITH_COLOUR), (plain, "without", WITHOUT_COLOUR)):
        lengths, accuracy = accuracy_by_length([result.text for result in results], targets)
        left.plot(lengths, 100 * accuracy, color=colour, marker="o", markersize=3, linewidth=1.5, label=name)
    left.set(xlabel="words in the sentence", ylabel="words in their place, %", ylim=(0, 102), title="Reversal")
    left.legend(frameon=False)
    draw_alignment(right, min(attending, key=lambda result: abs(len(result.source.split()) - SHOWN_WORDS)))
    drawn = BytesIO()
    figure.savefig(drawn, dpi=110)
    output.parent.mkdir(parents=True, exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(output, optimize=True)


def accuracy_by_length(texts: list[str], targets: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The share of target words that stand in their place, for each group of lengths."""
    right: dict[int, list[float]] = {}
    for text, target in zip(texts, targets, strict=True):
        words, true = text.split(), target.split()
        hits = sum(a == b for a, b in zip(words, true, strict=False))
        right.setdefault(len(true) // BUCKET, []).append(hits / len(true))
    groups = sorted(right)
    return np.array([(group + 0.5) * BUCKET for group in groups]), np.array([np.mean(right[g]) for g in groups])


def draw_alignment(axes: Axes, result: Translation) -> None:
    """Draw where the model looked for each word that it wrote."""
    candidate = result.candidates[0]
    assert candidate.attention is not None
    axes.imshow(candidate.attention, cmap="magma", vmin=0, vmax=1, aspect="auto")
    source, target = result.source.split(), candidate.text.split()
    axes.set_xticks(range(len(source)), source)
    axes.set_yticks(range(len(target)), target)
    axes.set(xlabel="source", ylabel="written", title="Where it looks")
    axes.spines["right"].set_visible(False)


if __name__ == "__main__":
    main()
