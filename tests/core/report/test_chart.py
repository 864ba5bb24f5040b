import itertools
import xml.etree.ElementTree as ET

import pytest

from s2s_core.report.chart import MOST_POINTS, _ticks, chart


def points_of(svg):
    line = next(part for part in ET.fromstring(svg) if part.tag == "polyline")
    return [tuple(map(float, point.split(","))) for point in line.get("points").split()]


def test_points_lie_in_proportion():
    points = points_of(chart("x", {"a": [(0, 0.0), (50, 1.0), (200, 4.0)]}))
    (x0, y0), (x1, y1), (x2, y2) = points
    assert (x1 - x0) / (x2 - x0) == pytest.approx(1 / 4, abs=0.01)
    assert (y0 - y1) / (y0 - y2) == pytest.approx(1 / 4, abs=0.01)


def test_many_points_become_few_and_the_last_stays():
    points = [(step, float(step % 2)) for step in range(10 * MOST_POINTS)]
    drawn = points_of(chart("x", {"a": points}))
    assert len(drawn) == MOST_POINTS
    heights = {y for _, y in drawn[:-1]}
    assert len(heights) == 1, "alternating zeros and ones are halves in the mean"
    assert drawn[-1][1] not in heights


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3e-5, 2e-5), (1000, 1001), (0.1, 17)])
def test_ticks_are_round_and_few(low, high):
    ticks = _ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)
    steps = {f"{b - a:.3e}" for a, b in itertools.pairwise(ticks)}
    assert all(step[:5] in ("1.000", "2.000", "5.000") for step in steps)


def test_one_point_and_names_that_are_markup():
    svg = chart("<b>", {"<i>": [(3, 2.0)], "y": [(3, 2.0)]})
    assert ET.fromstring(svg).get("aria-label") == "<b>"
