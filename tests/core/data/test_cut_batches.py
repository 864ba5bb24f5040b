"""Batches of cuts, some of which cannot be read."""

import numpy as np
import torch

from s2s_core.data.cut_batches import CutBatches
from s2s_core.errors import UserError


class Cuts:
    """Cut ``i`` sounds like ``i``; some cannot be read."""

    def __init__(self, count, broken=()):
        self.durations_s, self.broken, self.decoded = np.ones(count), broken, []

    def __len__(self):
        return len(self.durations_s)

    def audio(self, index, sample_rate_hz):
        self.decoded.append(index)
        if index in self.broken:
            raise UserError(f"cut {index} is broken")
        return torch.full((sample_rate_hz,), float(index))


class Indices(CutBatches):
    """A batch is its cuts' indices."""

    example = "clip"

    def collate(self, found):
        assert all(torch.equal(audio, torch.full((8,), float(index))) for index, audio in found)
        return [index for index, _ in found]


def test_a_batch_has_its_cuts_in_order():
    loaded = Indices(Cuts(5), 8).__getitems__([3, 0, 4])
    assert loaded.batch == [3, 0, 4]
    assert not loaded.failures


def test_what_cannot_be_read_is_left_out_and_named():
    loaded = Indices(Cuts(5, broken={0}), 8).__getitems__([3, 0, 4])
    assert loaded.batch == [3, 4]
    assert loaded.failures == ["cut 0 is broken"]


def test_another_cut_stands_in_and_the_last_is_followed_by_the_first():
    loaded = Indices(Cuts(5, broken={1, 2, 4}), 8, substitute=True).__getitems__([4])
    assert loaded.batch == [0]
    assert loaded.failures == ["cut 4 is broken"]


def test_what_is_kept_is_decoded_once():
    cuts = Cuts(3)
    batches = Indices(cuts, 8, keep_audio=True)
    for _ in range(2):
        batches.__getitems__([2, 1])
    assert cuts.decoded == [2, 1]
