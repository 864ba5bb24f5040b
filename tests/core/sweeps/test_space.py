import itertools
import math
import random
import statistics

import pytest

from s2s_core.errors import UserError
from s2s_core.sweeps.space import draws, grid, grid_size, read_parameter


def many(settings, count=4000):
    rng = random.Random(0)
    parameter = read_parameter("key", settings)
    return [parameter.draw(rng) for _ in range(count)]


@pytest.mark.parametrize(
    ("settings", "of_uniform"),
    [
        ({"min": 2.0, "max": 6.0}, lambda x: (x - 2) / 4),
        ({"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}, lambda x: (math.log10(x) + 4) / 3),
        ({"distribution": "log_uniform", "min": -3, "max": 1}, lambda x: (math.log(x) + 3) / 4),
        ({"distribution": "inv_log_uniform", "min": 1, "max": 3}, lambda x: (math.log(1 / x) - 1) / 2),
        ({"distribution": "inv_log_uniform_values", "min": 0.1, "max": 10}, lambda x: (math.log10(1 / x) + 1) / 2),
    ],
)
def test_what_is_uniform_of_a_draw(settings, of_uniform):
    """The documented change of variable gives a uniform number: mean 1/2, variance 1/12, all of [0, 1]."""
    shares = [of_uniform(value) for value in many(settings)]
    assert min(shares) >= 0
    assert max(shares) <= 1
    assert statistics.mean(shares) == pytest.approx(0.5, abs=0.02)
    assert statistics.variance(shares) == pytest.approx(1 / 12, abs=0.005)


def test_moments_of_normal_log_normal_and_beta():
    normal = many({"distribution": "normal", "mu": 3, "sigma": 2})
    assert (statistics.mean(normal), statistics.stdev(normal)) == pytest.approx((3, 2), abs=0.1)
    logs = [math.log(value) for value in many({"distribution": "log_normal", "mu": -1, "sigma": 0.5})]
    assert (statistics.mean(logs), statistics.stdev(logs)) == pytest.approx((-1, 0.5), abs=0.05)
    assert statistics.mean(many({"distribution": "beta", "a": 1, "b": 3})) == pytest.approx(1 / 4, abs=0.02)


def test_quantised_draws_are_multiples():
    values = many({"distribution": "q_uniform", "min": 50, "max": 200, "q": 50})
    assert set(values) == {50, 100, 150, 200}
    assert all(isinstance(value, int) for value in values)
    assert set(many({"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.5})) == {0.0, 0.5, 1.0}


def test_whole_bounds_draw_whole_numbers_of_all_values():
    assert set(many({"min": 1, "max": 4})) == {1, 2, 3, 4}


def test_probabilities_weigh_values():
    values = many({"values": ["a", "b"], "probabilities": [0.9, 0.1]})
    assert values.count("a") / len(values) == pytest.approx(0.9, abs=0.02)


def test_a_grid_is_every_combination():
    parameters = [
        read_parameter("a", {"values": [1, 2]}),
        read_parameter("b", {"value": "x"}),
        read_parameter("c", {"min": 3, "max": 5}),
        read_parameter("d", {"distribution": "q_uniform", "min": 0.0, "max": 0.2, "q": 0.1}),
    ]
    found = [tuple(settings.values()) for settings in grid(parameters)]
    assert len(found) == grid_size(parameters) == 2 * 1 * 3 * 3
    assert found[0] == (1, "x", 3, 0.0)
    assert set(found) == {(a, "x", c, d) for a in (1, 2) for c in (3, 4, 5) for d in (0.0, 0.1, 0.2)}


def test_a_random_search_can_be_lengthened_and_repeated():
    parameters = [read_parameter("a", {"min": 0.0, "max": 1.0})]
    first = list(itertools.islice(draws(parameters, seed=7), 3))
    longer = list(itertools.islice(draws(parameters, seed=7), 5))
    assert longer[:3] == first
    assert len({settings["a"] for settings in longer}) == 5
    assert next(draws(parameters, seed=8)) != first[0]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (5, r"parameters.key: expected value, values"),
        ({"parameters": {"x": {"value": 1}}}, "nested parameters"),
        ({"distribution": "log_uniform_value", "min": 1.0, "max": 2.0}, "did you mean 'log_uniform_values'"),
        ({"min": 1, "max": 2.5}, "two whole numbers or two with a point"),
        ({"min": 1.0}, "expected value, values, or min and max; got min"),
        ({"distribution": "uniform", "min": 0.0}, "uniform needs max"),
        ({"distribution": "uniform", "min": "1e-4", "max": 1.0}, r"write 1\.0e-4"),
        ({"min": 2.0, "max": 1.0}, "min 2.0 is not below max 1.0"),
        ({"distribution": "log_uniform_values", "min": 0.0, "max": 1.0}, "above 0"),
        ({"values": []}, "a list with an entry"),
        ({"values": [1, 2], "probabilities": [0.5, 0.6]}, "1 together"),
        ({"values": [1, 2], "probabilities": 0.5}, "one for each of values"),
        ({"values": [1, 2], "probabilities": ["a", "b"]}, "one for each of values"),
        ({"value": 0.1, "probabilities": [1.0]}, "one for each of values"),
        ({"distribution": "log_uniform", "min": 100, "max": 1000}, "exponents of e; for values write log_uniform_val"),
        ({"distribution": "inv_log_uniform", "min": -1000, "max": 1}, "for values write inv_log_uniform_values"),
        ({"distribution": "beta", "a": 0}, "key.a: expected a number above 0, got 0"),
        ({"value": 1, "vales": 2}, "unknown setting 'vales'"),
    ],
)
def test_a_wrong_parameter_is_named(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        read_parameter("key", settings)


def test_a_range_without_steps_has_no_grid():
    with pytest.raises(UserError, match="key: a grid needs values"):
        read_parameter("key", {"min": 0.0, "max": 1.0}).grid()
