"""Curves as inline SVG: no script, no library, readable in print."""

from __future__ import annotations

import math
from html import escape

from s2s_core.report.run_files import Points

WIDTH, HEIGHT = 440, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 30, 34
MOST_POINTS = 400
SERIES_COLOURS = ("#1f5fa8", "#c8553d", "#3d8b57", "#8052a3", "#9a7b1c", "#4a6670")


def chart(title: str, series: dict[str, Points]) -> str:
    """Draw curves over the step that share an axis.

    Args:
        title: above the chart.
        series: points by name; curves without any are left out.
    """
    drawn = {name: _thinned(points) for name, points in series.items() if points}
    every = [point for points in drawn.values() for point in points]
    steps, values = [step for step, _ in every], [value for _, value in every]
    x0, x1 = min(steps), max(*steps, min(steps) + 1)
    y0, y1 = _padded(min(values), max(values))

    def place(step: float, value: float) -> str:
        across = LEFT + (step - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (value - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    parts.append(f'<text x="{LEFT}" y="16" class="title">{escape(title)}</text>')
    for tick in _ticks(y0, y1):
        height = place(x0, tick).split(",")[1]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{height}" dy="4" text-anchor="end">{tick:.4g}</text>')
    for step, anchor in ((x0, "start"), (x1, "end")):
        across = place(step, y0).split(",")[0]
        parts.append(f'<text x="{across}" y="{HEIGHT - 14}" text-anchor="{anchor}">{step:.0f}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">step</text>')
    for number, (name, points) in enumerate(drawn.items()):
        colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
        line = " ".join(place(*point) for point in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if len(points) <= 30:
            dots = (place(*point).split(",") for point in points)
            parts += [f'<circle cx="{x}" cy="{y}" r="2.2" fill="{colour}"/>' for x, y in dots]
        if len(drawn) > 1:
            across = WIDTH - RIGHT - 74 * (len(drawn) - number)
            parts.append(f'<text x="{across}" y="16" fill="{colour}">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def _thinned(points: Points) -> Points:
    """At most so many points; each stands for the mean of its neighbours, the last for itself."""
    group = -(-len(points) // MOST_POINTS)
    if group == 1:
        return points
    means = []
    for start in range(0, len(points), group):
        part = points[start : start + group]
        means.append((part[-1][0], sum(value for _, value in part) / len(part)))
    return [*means[:-1], points[-1]]


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between the ends, three to seven of them."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]
