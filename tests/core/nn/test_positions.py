"""Position vectors against the formula, number by number."""

import math

import pytest
import torch

from s2s_core.nn.positions import LearnedPositions, SinusoidalPositions, build_positions, sinusoids


def test_sinusoids():
    found = sinusoids(torch.tensor([[0, 5], [1, 700]]), 6)
    assert found.shape == (2, 2, 6)
    for place, vector in zip((0, 5, 1, 700), found.view(4, 6), strict=True):
        for i in range(3):
            angle = place / 10_000 ** (i / 2)
            assert vector[i] == pytest.approx(math.sin(angle), abs=1e-4)
            assert vector[3 + i] == pytest.approx(math.cos(angle), abs=1e-4)


def test_sinusoidal_positions_have_no_end():
    positions = SinusoidalPositions(8, table_length=10)
    assert not positions.state_dict()
    for places in (torch.arange(10), torch.arange(5, 30)):
        torch.testing.assert_close(positions(places, int(places.max()) + 1), sinusoids(places, 8))


def test_learned_positions_end():
    positions = LearnedPositions(4, 10)
    places = torch.tensor([[9, 0]])
    assert torch.equal(positions(places, 10), positions.weight[places])
    with pytest.raises(ValueError, match="11 tokens, but positions are learned for max_length 10"):
        positions(places, 11)


def test_built_by_name():
    assert isinstance(build_positions("sinusoidal", 4, 3), SinusoidalPositions)
    assert isinstance(build_positions("learned", 4, 3), LearnedPositions)
    assert build_positions("none", 4, 3)(torch.tensor([1, 2]), 3) == 0
    with pytest.raises(ValueError, match="got 'rotary'"):
        build_positions("rotary", 4, 3)
    with pytest.raises(ValueError, match="got 7"):
        build_positions("sinusoidal", 7, 3)
