import random

import numpy as np
import torch

from s2s_core.random_state import capture_random_state, restore_random_state


def draw():
    return random.random(), np.random.rand(), torch.rand(3).tolist(), random.gauss(0, 1), np.random.randn()  # noqa: NPY002


def test_every_generator_goes_on_where_it_was(tmp_path):
    draw()  # odd positions, so that the cached gaussians matter
    random.gauss(0, 1)
    np.random.randn()  # noqa: NPY002
    torch.save(capture_random_state(), tmp_path / "state.pt")
    expected = [draw() for _ in range(3)]
    draw()
    restore_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [draw() for _ in range(3)] == expected
