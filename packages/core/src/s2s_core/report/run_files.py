"""Reads what a run left in its folder: curves, samples, config, machine and checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s2s_core.errors import UserError
from s2s_core.tracking.history import logged, tables
from s2s_core.tracking.machine import read_machine

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Sample:
    """The newest table, picture or sound of one key.

    Args:
        key: ``val/transcripts``.
        step: at which it was logged.
        kind: ``table`` (Markdown), ``image`` (PNG) or ``audio`` (WAV).
        content: the text, or the encoded file.
    """

    key: str
    step: int
    kind: str
    content: bytes


@dataclass(frozen=True)
class RunFiles:
    """All that a report needs of a run."""

    folder: Path
    curves: dict[str, Points]
    """Step and value of every figure, in order."""
    samples: list[Sample]
    config: str
    machine: dict[str, Any]
    checkpoints: list[tuple[str, int]] = field(default_factory=list)
    """Names and bytes."""


def read_run(folder: Path) -> RunFiles:
    """Read a run's folder.

    Raises:
        UserError: if it is none, or nothing was logged in it.
    """
    if not folder.is_dir():
        raise UserError(f"'{folder}': no such folder; expected that of a run")
    config = folder / "config.yaml"
    if not tables(folder) and not config.is_file():
        raise UserError(f"'{folder}': expected a run's folder, with config.yaml and csv/version_0/metrics.csv")
    curves: dict[str, Points] = {}
    for key, step, value in logged(folder):
        if math.isfinite(value):
            curves.setdefault(key, []).append((step, value))
    return RunFiles(
        folder=folder,
        curves={key: sorted(points) for key, points in curves.items()},
        samples=_samples(folder / "tensorboard"),
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
        machine=read_machine(folder),
        checkpoints=[(path.name, path.stat().st_size) for path in sorted(folder.glob("checkpoints/*.ckpt"))],
    )


def _samples(folder: Path) -> list[Sample]:
    """The newest sample of each key in TensorBoard's files."""
    paths = sorted(folder.rglob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime)
    if not paths:
        return []
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    newest: dict[tuple[str, str], Sample] = {}
    for path in paths:
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                sample = _sample(value, int(event.step))
                if sample is not None:
                    newest[sample.key, sample.kind] = sample
    return sorted(newest.values(), key=lambda sample: (sample.key, sample.kind))


def _sample(value: Any, step: int) -> Sample | None:
    if value.HasField("image"):
        return Sample(value.tag, step, "image", value.image.encoded_image_string)
    if value.HasField("audio"):
        return Sample(value.tag, step, "audio", value.audio.encoded_audio_string)
    if value.HasField("tensor") and value.metadata.plugin_data.plugin_name == "text" and value.tensor.string_val:
        return Sample(value.tag.removesuffix("/text_summary"), step, "table", value.tensor.string_val[0])
    return None
