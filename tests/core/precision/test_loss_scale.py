import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s_core.precision.loss_scale import Backoff, LogMax, LossScale, StaticScale

OVERFLOWS = (math.inf, -math.inf, math.nan)
gradients = st.floats(0.0, 1e38) | st.sampled_from(OVERFLOWS)
histories = st.lists(gradients, max_size=80)


def scales():
    return [StaticScale(8.0), Backoff(2.0, 2.0**10, 2.0, 3), LogMax(), LogMax(scale_min=0.25, scale_max=64.0)]


def feed(scale: LossScale, history) -> list[float]:
    seen = []
    for largest in history:
        scale.update(largest)
        seen.append(scale.scale)
    return seen


@given(histories)
def test_any_history_leaves_the_scale_in_its_range(history):
    for scale in scales():
        assert all(scale.minimum <= value <= scale.maximum for value in feed(scale, history))


@given(histories, histories)
def test_a_scale_goes_on_from_its_state_exactly(before, after):
    for scale, twin in zip(scales(), scales(), strict=True):
        feed(scale, before)
        twin.load_state_dict(scale.state_dict())
        assert feed(twin, after) == feed(scale, after)
        assert twin.state_dict() == scale.state_dict()


@given(histories, st.floats(0.0, 1e38))
def test_a_scale_that_reads_no_sizes_goes_the_same_way_with_any(history, size):
    for scale, twin in zip(scales(), scales(), strict=True):
        if not scale.reads_sizes:
            assert feed(twin, [size if math.isfinite(x) else x for x in history]) == feed(scale, history)
    assert [scale.reads_sizes for scale in scales()] == [False, False, True, True]


@given(histories)
def test_backoff_recovers_from_any_history(history):
    scale = Backoff(1.0, 2.0**10, 2.0, 3)
    feed(scale, history)
    feed(scale, [math.inf] + [1.0] * 3 * 10)
    assert scale.scale == 2.0**10


@given(histories)
def test_log_max_recovers_from_any_history(history):
    scale = LogMax()
    feed(scale, [x for x in history if not 0 < x < 1e-30])
    feed(scale, [2.0**3] * 12_000)
    assert 2.0**12 <= scale.scale <= 2.0**13.01


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 6))
def test_backoff_is_the_originals_rule(overflowed, window):
    # OpenSeq2Seq counts iterations and remembers the last overflow, which stands before the first iteration
    expected, last = 2.0**14, -1
    scale = Backoff(step_window=window)
    for iteration, overflow in enumerate(overflowed):
        if overflow:
            expected, last = max(1.0, expected / 2.0), iteration
        elif (iteration - last) % window == 0:
            expected = min(2.0**14, expected * 2.0)
        scale.update(math.nan if overflow else 1.0)
        assert scale.scale == expected


def test_backoff_takes_the_catalogues_path():
    path = feed(Backoff(step_window=4), [math.inf] * 3 + [1.0] * 8)
    assert path == [8192.0, 4096.0, 2048.0, 2048.0, 2048.0, 2048.0, 4096.0, 4096.0, 4096.0, 4096.0, 8192.0]


def test_log_max_is_the_formula_in_closed_form():
    x = np.random.default_rng(3).normal(6.0, 0.7, 300)
    scale = LogMax()
    feed(scale, 2.0**x)

    def average(values, beta):
        weights = beta ** np.arange(len(values))[::-1]
        return (weights * values).sum() / weights.sum()

    variance = average(x**2, 0.999) - average(x, 0.999) ** 2
    expected = 2.0 ** (16.0 - (average(x, 0.99) + 3.09 * math.sqrt(variance)))
    assert 1.0 < expected < 2.0**14
    assert scale.scale == pytest.approx(expected, rel=1e-9)


def test_log_max_counts_an_overflow_as_sixteen_and_comes_back():
    good = [2.0**2] * 50
    with_overflow, with_sixteen = LogMax(), LogMax()
    assert feed(with_overflow, [*good, math.nan]) == feed(with_sixteen, [*good, 2.0**16])
    assert with_overflow.scale > 64.0  # the original fell to 1 here, and stayed there for 6000 steps
    assert feed(with_overflow, [2.0**2] * 3000)[-1] > 2.0**12


def test_log_max_ignores_a_step_without_gradients():
    scale = LogMax()
    feed(scale, [4.0] * 20)
    before = scale.state_dict()
    scale.update(0.0)
    assert scale.state_dict() == before


def test_a_scale_loads_into_a_narrower_range():
    wide, narrow = Backoff(), Backoff(scale_max=256.0)
    narrow.load_state_dict(wide.state_dict())
    assert narrow.scale == 256.0


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda: StaticScale(0.0), "0.0"),
        (lambda: StaticScale(math.inf), "inf"),
        (lambda: Backoff(step_factor=1.0), "1.0"),
        (lambda: Backoff(step_window=0), "0"),
        (lambda: Backoff(scale_min=8.0, scale_max=4.0), "8.0"),
        (lambda: LogMax(beta1=1.0), "1.0"),
    ],
)
def test_impossible_values_are_refused(make, value):
    with pytest.raises(ValueError, match=value):
        make()
