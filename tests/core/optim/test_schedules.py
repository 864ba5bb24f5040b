"""Policies against closed forms worked out by hand or written anew."""

import math

import pytest

from s2s_core.optim.schedules import (
    Cosine,
    Exponential,
    Fixed,
    InversePolynomial,
    Noam,
    Piecewise,
    Polynomial,
)

TOTAL = 1000


def rates(schedule, steps, base_lr=0.1):
    return [schedule.lr(step, base_lr, TOTAL) for step in steps]


def test_fixed_stays():
    assert rates(Fixed(), [0, 5, 10_000]) == [0.1, 0.1, 0.1]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Polynomial(), {0: 0.1, 250: 0.075, 500: 0.05, 999: 0.0001, 1000: 0.0, 5000: 0.0}),
        (Polynomial(power=2.0, min_lr=0.01), {0: 0.1, 500: 0.0325, 900: 0.0109, 1000: 0.01, 1001: 0.01}),
        (Polynomial(warmup_steps=100), {0: 0.0, 1: 0.001, 99: 0.099, 100: 0.1, 550: 0.05, 1000: 0.0}),
        (Polynomial(warmup_steps=100, begin_decay_at=200), {100: 0.1, 199: 0.1, 200: 0.1, 600: 0.05, 1000: 0.0}),
        (Polynomial(decay_steps=100, begin_decay_at=50), {50: 0.1, 100: 0.05, 150: 0.0, 151: 0.0}),
        (Exponential(100, 0.5), {0: 0.1, 50: 0.1 / math.sqrt(2), 100: 0.05, 300: 0.0125}),
        (Exponential(100, 0.5, staircase=True), {0: 0.1, 99: 0.1, 100: 0.05, 199: 0.05, 200: 0.025}),
        (Exponential(100, 0.5, begin_decay_at=40), {39: 0.1, 40: 0.1, 140: 0.05}),
        (Exponential(100, 0.5, min_lr=0.03), {100: 0.05, 200: 0.03, 10_000: 0.03}),
        (Piecewise([30, 60], [0.1, 0.01]), {0: 0.1, 29: 0.1, 30: 0.01, 59: 0.01, 60: 0.001, 999: 0.001}),
        (Cosine(), {0: 0.1, 250: 0.05 * (1 + math.sqrt(0.5)), 500: 0.05, 1000: 0.0, 2000: 0.0}),
        (Cosine(min_lr=0.02, warmup_steps=200), {0: 0.0, 100: 0.05, 200: 0.1, 600: 0.06, 1000: 0.02}),
        (Cosine(decay_steps=100, begin_decay_at=10), {9: 0.1, 10: 0.1, 60: 0.05, 110: 0.0}),
        (InversePolynomial(min_lr=0.001), {0: 0.1, 500: 0.1 / 50.5, 1000: 0.001, 3000: 0.001}),
        (InversePolynomial(min_lr=0.01, power=0.5, decay_steps=99), {1: 0.1 / math.sqrt(2), 99: 0.01}),
        (InversePolynomial(min_lr=0.001, warmup_steps=100), {50: 0.05, 100: 0.1, 1000: 0.001}),
    ],
)
def test_closed_form(schedule, expected):
    assert rates(schedule, expected) == pytest.approx(list(expected.values()), rel=1e-12, abs=1e-15)


def test_noam_rises_to_the_end_of_warmup_and_falls_as_the_root():
    schedule = Noam(d_model=512, warmup_steps=4000)
    for step in (0, 1, 3998):
        assert schedule.lr(step, 2.0, 0) == pytest.approx(2.0 / math.sqrt(512) * (step + 1) / 4000**1.5)
    peak = schedule.lr(3999, 2.0, 0)
    assert peak == pytest.approx(2.0 / math.sqrt(512 * 4000))
    assert schedule.lr(15_999, 2.0, 0) == pytest.approx(peak / 2)


def test_noam_coefficient_and_bound():
    assert Noam(4, 1, coefficient=3.0).lr(0, 2.0, 0) == pytest.approx(3.0)
    assert Noam(4, 1, max_lr=0.5).lr(0, 2.0, 0) == 0.5


@pytest.mark.parametrize("schedule", [Polynomial(warmup_steps=100, min_lr=0.01), Cosine(0.01, 100)])
def test_training_shorter_than_its_warmup(schedule):
    assert schedule.lr(10, 0.1, 50) == pytest.approx(0.01)
    assert schedule.lr(100, 0.1, 50) == pytest.approx(0.01)


def test_policies_describe_themselves():
    assert Polynomial(power=2.0).describe() == {
        "class_path": "s2s_core.optim.schedules.Polynomial",
        "init_args": {"power": 2.0, "min_lr": 0.0, "warmup_steps": 0, "decay_steps": None, "begin_decay_at": 0},
    }


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Polynomial(warmup_steps=-1), "warmup_steps.*-1"),
        (lambda: Cosine(decay_steps=0), "decay_steps.*0"),
        (lambda: Exponential(10, 1.5), r"decay_rate.*1\.5"),
        (lambda: Piecewise([1, 2], [0.1]), "1 for 2"),
        (lambda: Piecewise([2, 2], [0.1, 0.1]), "increasing"),
        (lambda: Noam(0, 1), "0, 1"),
        (lambda: InversePolynomial(min_lr=0.0), r"0\.0"),
        (lambda: InversePolynomial(min_lr=1.0).lr(0, 0.1, 10), r"0\.1.*1\.0"),
    ],
)
def test_wrong_values_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
