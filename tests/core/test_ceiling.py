import math

import numpy as np
import pytest
import torch

from s2s_core.ceiling import ceil_div, round_up


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_numbers_arrays_and_tensors_are_rounded_up(kind):
    counts = list(range(9))
    for size in (1, 3, 8):
        given = kind(counts)
        groups = [ceil_div(n, size) for n in given] if kind is list else ceil_div(given, size).tolist()
        whole = [round_up(n, size) for n in given] if kind is list else round_up(given, size).tolist()
        assert groups == [math.ceil(n / size) for n in counts]
        assert whole == [size * n for n in groups]
