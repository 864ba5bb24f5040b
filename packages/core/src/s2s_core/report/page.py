"""The page itself: one HTML file that needs no other and runs no script."""

from __future__ import annotations

import base64
from html import escape
from typing import Any

from s2s_core.report.chart import chart
from s2s_core.report.run_files import Points, RunFiles, Sample

PER_LAYER = ("underflow/", "saturation/")
"""Figures that are as many as a model has layers: in the CSV, not on the page."""
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:980px;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .6rem;border-bottom:1px solid #d9dee5}
h3{font-size:.95rem;margin:1rem 0 .3rem}.note{color:#5b6675}
table{border-collapse:collapse;margin:.3rem 0}td,th{padding:.2rem .7rem;border-bottom:1px solid #e4e8ee;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:1rem}
svg{width:100%;font:11px system-ui,sans-serif;fill:#5b6675}
svg .title{font-size:13px;fill:#1c2430}svg .grid{stroke:#e4e8ee}
img{max-width:100%;image-rendering:pixelated;border:1px solid #e4e8ee}
pre{background:#f5f7fa;padding:.8rem;overflow:auto;font-size:12px}
"""
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


def render(run: RunFiles, task: str, monitor: str, higher_is_better: bool) -> str:
    """The page of a run, as HTML.

    Args:
        run: what is shown.
        task: the task's name.
        monitor: the figure that tells the best checkpoint.
        higher_is_better: of the monitor.
    """
    title = f"{task}: {run.folder.name}"
    sections = [
        ("Results", _results(run, monitor, higher_is_better)),
        ("Curves", _curves(run.curves)),
        ("Samples", "".join(_sample(sample) for sample in run.samples)),
        ("Machine", _machine(run.machine)),
        ("Config", f"<details><summary>config.yaml</summary><pre>{escape(run.config)}</pre></details>"),
    ]
    body = "".join(f"<section><h2>{name}</h2>{content}</section>" for name, content in sections if content)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _results(run: RunFiles, monitor: str, higher_is_better: bool) -> str:
    best = (max if higher_is_better else min)(run.curves.get(monitor, []), key=lambda point: point[1], default=None)
    parts = []
    if best is not None:
        parts.append(f"<p>Best {escape(monitor)}: <strong>{best[1]:.5g}</strong> at step {best[0]:.0f}.</p>")
    shown = {key: points for key, points in run.curves.items() if not key.startswith((*PER_LAYER, "speed/"))}
    rows = [[key, f"{points[-1][1]:.5g}", f"{points[-1][0]:.0f}"] for key, points in sorted(shown.items())]
    parts.append(_table(["figure", "last", "step"], rows, numbers_from=1))
    if run.checkpoints:
        sizes = [[name, f"{size / 1e6:.1f} MB"] for name, size in run.checkpoints]
        parts.append(_table(["checkpoint", "size"], sizes, numbers_from=1))
    return "".join(parts)


def _curves(curves: dict[str, Points]) -> str:
    """A chart for each figure; training and validation of the same one share it."""
    groups: dict[str, dict[str, Points]] = {}
    left_out = 0
    for key, points in curves.items():
        if key.startswith(PER_LAYER):
            left_out += 1
            continue
        stage, _, name = key.partition("/")
        shared = stage in ("train", "val") and name
        groups.setdefault(name if shared else key, {})[stage if shared else key] = points
    ordered = sorted(groups.items(), key=lambda group: group[0].startswith("speed/"))  # what was learnt comes first
    charts = "".join(chart(title, series) for title, series in ordered)
    note = f'<p class="note">{left_out} figures of single layers are in the CSV.</p>' if left_out else ""
    return f'<div class="charts">{charts}</div>{note}' if charts else ""


def _sample(sample: Sample) -> str:
    heading = f'<h3>{escape(sample.key)} <span class="note">step {sample.step}</span></h3>'
    if sample.kind == "image":
        return f'{heading}<img alt="{escape(sample.key)}" src="{_data("image/png", sample.content)}">'
    if sample.kind == "audio":
        return f'{heading}<audio controls src="{_data("audio/wav", sample.content)}"></audio>'
    text = sample.content.decode("utf-8", errors="replace")
    lines = [line.strip().strip("|").split(" | ") for line in text.splitlines()]
    if len(lines) > 2 and set("".join(lines[1])) <= set("-| "):
        return heading + _table(lines[0], lines[2:])
    return f"{heading}<pre>{escape(text)}</pre>"


def _machine(machine: dict[str, Any]) -> str:
    rows = []
    for key, value in machine.items():
        if key == "before":
            rows.append(["begun", ", ".join(str(start.get("started")) for start in value)])
        elif isinstance(value, dict):
            rows.append([key, ", ".join(f"{name} {version}" for name, version in value.items())])
        elif value not in (None, []):
            rows.append([key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)])
    return _table(["", ""], rows) if rows else ""


def _table(header: list[str], rows: list[list[str]], numbers_from: int = 1000) -> str:
    lines = ["<tr>" + "".join(f"<th>{escape(cell.strip())}</th>" for cell in header) + "</tr>"] if any(header) else []
    for row in rows:
        cells = (
            f"<td{' class=n' if place >= numbers_from else ''}>{escape(cell.strip())}</td>"
            for place, cell in enumerate(row)
        )
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
