"""Samples that a person can judge: tables, pictures and sounds, shown alike by every logger that can show them.

TensorBoard gets Markdown, images and audio; Weights & Biases HTML, images and audio; other loggers nothing. On
ranks other than the first, Lightning's loggers swallow what they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
import torch
from torch import Tensor

COLOURS = np.array([[13, 8, 65], [85, 15, 109], [160, 42, 99], [221, 81, 58], [252, 165, 10], [252, 255, 164]])
"""From least to most, ever lighter, so that the order survives printing in grey."""
SMALLEST_SIDE = 160
"""Pixels; small matrices are drawn with larger cells."""


def show_table(
    loggers: Iterable[Any], key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int
) -> None:
    """Show rows of text and numbers."""
    if not rows:
        return
    for logger in loggers:
        if hasattr(logger, "log_table"):
            import wandb

            # wandb.Table is an artifact, whose upload training would wait for, each time
            logger.log_metrics({key: wandb.Html(html_table(columns, rows), inject=False)}, step)
        elif hasattr(_board(logger), "add_text"):
            _board(logger).add_text(key, markdown_table(columns, rows), step)


def show_picture(loggers: Iterable[Any], key: str, picture: np.ndarray | Tensor, step: int) -> None:
    """Show a picture ``(height, width, 3)``, uint8."""
    pixels = picture.cpu().numpy() if isinstance(picture, Tensor) else picture
    for logger in loggers:
        if hasattr(logger, "log_image"):
            logger.log_image(key, [pixels], step=step)
        elif hasattr(_board(logger), "add_image"):
            _board(logger).add_image(key, pixels, step, dataformats="HWC")


def show_audio(loggers: Iterable[Any], key: str, audio: Tensor, sample_rate_hz: int, step: int) -> None:
    """Let a recording ``(samples,)`` in [-1, 1] be heard."""
    samples = audio.detach().float().clamp(-1, 1).cpu()
    for logger in loggers:
        if hasattr(logger, "log_audio"):
            logger.log_audio(key, [samples.numpy()], step=step, sample_rate=[sample_rate_hz])
        elif hasattr(_board(logger), "add_audio"):
            _board(logger).add_audio(key, samples[None], step, sample_rate=sample_rate_hz)


def can_show(loggers: Iterable[Any]) -> bool:
    """Whether any of the loggers shows samples, so that making them is worth while."""
    return any(hasattr(logger, "log_table") or hasattr(_board(logger), "add_text") for logger in loggers)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown; bars in cells become slashes."""
    lines = [list(columns), ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines)


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in HTML; what is in the cells is text, whatever it looks like."""
    lines = ["".join(f"<th>{escape(str(cell))}</th>" for cell in columns)]
    lines += ["".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def heat_map(
    values: Tensor,
    upwards: bool = False,
    low: float | None = None,
    high: float | None = None,
    cell: int | None = None,
) -> np.ndarray:
    """Draw a matrix ``(rows, columns)`` as a picture ``(height, width, 3)``, uint8; lighter is more.

    Args:
        values: finite.
        upwards: row 0 is drawn at the bottom, as the frequencies of a spectrogram are.
        low, high: what is darkest and lightest, and all beyond; the smallest and the largest value if None.
        cell: pixels that a value is wide and high; if None, so many that a small matrix can be seen.
    """
    grid = values.detach().double().cpu()
    low = float(grid.min()) if low is None else low
    high = float(grid.max()) if high is None else high
    shares = ((grid - low) / (high - low if high > low else 1.0)).numpy()
    if upwards:
        shares = shares[::-1]
    stops = np.linspace(0, 1, len(COLOURS))
    pixels = np.stack([np.interp(shares, stops, COLOURS[:, channel]) for channel in range(3)], axis=-1)
    if cell is None:  # square cells, of the longer side's size
        cell = min(max(1, -(-SMALLEST_SIDE // side)) for side in grid.shape)
    return pixels.round().astype(np.uint8).repeat(cell, axis=0).repeat(cell, axis=1)


def spectrogram_picture(features: Tensor, length: int) -> np.ndarray:
    """Draw features ``(time, feature)`` up to their true length: time runs right, the feature's number up."""
    return heat_map(features[:length].detach().float().T, upwards=True)


def contact_sheet(images: Tensor, columns: int = 8) -> np.ndarray:
    """Draw images ``(count, channels, height, width)`` of any range side by side, each stretched to its own range."""
    count, channels = images.shape[:2]
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    shares = ((images - low) / (high - low).clamp(min=1e-9)).float().cpu()
    shares = shares if channels == 3 else shares[:, :1].expand(-1, 3, -1, -1)
    scale = max(1, 64 // images.shape[-1])
    shares = shares.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    shares = torch.nn.functional.pad(shares, (1, 1, 1, 1), value=1.0)
    missing = -count % columns if count > columns else 0
    if missing:
        shares = torch.cat([shares, torch.ones(missing, *shares.shape[1:])])
    rows = shares.split(min(columns, count))
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    return (sheet.permute(1, 2, 0) * 255).round().byte().numpy()


def _board(logger: Any) -> Any:
    return getattr(logger, "experiment", None)
