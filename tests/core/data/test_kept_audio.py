"""Kept audio is decoded once, other audio each time."""

import numpy as np
import pytest
import torch

from s2s_core.data.kept_audio import KeptAudio, fits


class Cuts:
    """Counts what is decoded."""

    durations_s = np.array([1.0, 2.0])

    def __init__(self):
        self.decoded = []

    def audio(self, index, sample_rate_hz):
        self.decoded.append(index)
        return torch.full((sample_rate_hz,), float(index))


@pytest.mark.parametrize(("keep", "decoded"), [(False, [1, 0, 1]), (True, [1, 0])])
def test_kept_audio_is_decoded_once(keep, decoded):
    cuts = Cuts()
    audio = KeptAudio(cuts, 8, keep)
    assert [float(audio[index][0]) for index in (1, 0, 1)] == [1.0, 0.0, 1.0]
    assert cuts.decoded == decoded


def test_a_second_of_float32_takes_four_bytes_a_sample():
    assert fits(Cuts(), 2**20, 12)
    assert not fits(Cuts(), 2**20, 11.9)
