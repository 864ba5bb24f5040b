"""Layouts of frames: what enters leaves, and neighbours never meet."""

import pytest
import torch

from s2s_core.nn.frames import PackedFrames, PaddedFrames, frame_layout
from s2s_core.nn.mask import length_mask

LENGTHS = [7, 0, 12, 1]


def layouts(time=12):
    return [PackedFrames(LENGTHS, time), PaddedFrames(torch.tensor(LENGTHS), time)]


@pytest.mark.parametrize("layout", layouts())
def test_what_enters_leaves_with_zeros_after_the_ends(layout):
    padded = torch.randn(4, 12, 3)
    left = layout.leave(layout.enter(padded))
    real = length_mask(torch.tensor(LENGTHS), 12)[..., None]
    torch.testing.assert_close(left, padded * real)
    assert torch.equal(layout.real_frames(padded.device), real)


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_strided_layout_has_the_ceiling_of_the_quotient(layout, stride):
    after = layout.strided(stride)
    expected = torch.tensor([-(-length // stride) for length in LENGTHS])
    real = after.real_frames(torch.device("cpu"))
    assert real.shape == (4, -(-12 // stride), 1)
    assert torch.equal(real.sum((1, 2)), expected)


def test_packing_stores_no_padding():
    assert PackedFrames(LENGTHS, 12).enter(torch.randn(4, 12, 3)).shape == (1, sum(LENGTHS), 3)


def test_lengths_on_the_host_are_packed():
    assert isinstance(frame_layout(torch.tensor(LENGTHS), 12), PackedFrames)


def test_lengths_on_a_device_stay_there():
    assert isinstance(frame_layout(torch.tensor(LENGTHS, device="meta"), 12), PaddedFrames)
