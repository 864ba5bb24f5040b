"""Norms against torch's own on one sequence, and against themselves under padding."""

import pytest
import torch
from torch import nn

from s2s_core.nn.frames import PackedFrames, PaddedFrames
from s2s_core.nn.norm import BatchNorm, GroupNorm, InstanceNorm, build_norm

LENGTHS = [9, 5, 2]


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(3, 9, 4, dtype=torch.float64) * 3 + 1


def layouts():
    return [PackedFrames(LENGTHS, 9), PaddedFrames(torch.tensor(LENGTHS), 9)]


def real_frames(x):
    return torch.cat([row[:length] for row, length in zip(x, LENGTHS, strict=True)])


@pytest.mark.parametrize("layout", layouts())
def test_batch_statistics_count_real_frames_only(x, layout):
    norm = BatchNorm(4, momentum=0.25).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    y = layout.leave(norm(layout.enter(x), layout))
    frames = real_frames(x)
    mean, var = frames.mean(0), frames.var(0, correction=0)
    expected = (frames - mean) / (var + 1e-3).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(real_frames(y), expected)
    torch.testing.assert_close(norm.running_mean, 0.25 * mean)
    torch.testing.assert_close(norm.running_var, 0.75 + 0.25 * frames.var(0))
    assert norm.num_batches_tracked == 1
    y = layout.leave(norm.eval()(layout.enter(x), layout))
    expected = (frames - norm.running_mean) / (norm.running_var + 1e-3).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(real_frames(y), expected)


@pytest.mark.parametrize("layout", layouts())
def test_batch_norm_gradients(x, layout):
    norm = BatchNorm(4).double()
    assert torch.autograd.gradcheck(lambda x: layout.leave(norm(layout.enter(x), layout)), x.requires_grad_())


@pytest.mark.parametrize("layout", layouts())
def test_instance_statistics_are_each_sequences_own(x, layout):
    norm = InstanceNorm(4).double()
    y = layout.leave(norm(layout.enter(x), layout))
    for row, length in enumerate(LENGTHS):
        alone = nn.functional.instance_norm(x[row, :length].T[None], eps=1e-3)[0].T
        torch.testing.assert_close(y[row, :length], alone)


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_statistics_are_each_sequences_own(x, layout, groups):
    norm = GroupNorm(4, groups).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    y = layout.leave(norm(layout.enter(x), layout))
    for row, length in enumerate(LENGTHS):
        alone = nn.functional.group_norm(x[row, :length].T[None], groups, norm.weight, norm.bias, 1e-3)[0].T
        torch.testing.assert_close(y[row, :length], alone)


def test_groups_divide_the_channels():
    assert [GroupNorm(channels).groups for channels in (16, 12, 7, 11)] == [8, 6, 7, 1]
    with pytest.raises(ValueError, match="divisor of 4 channels, got 3"):
        GroupNorm(4, 3)


def test_layer_norm_is_over_the_channels_of_a_frame(x):
    layout = PackedFrames(LENGTHS, 9)
    y = layout.leave(build_norm("layer", 4, 0.1).double()(layout.enter(x), layout))
    frames = real_frames(x)
    expected = (frames - frames.mean(1, True)) / (frames.var(1, correction=0, keepdim=True) + 1e-3).sqrt()
    torch.testing.assert_close(real_frames(y), expected)


def test_rms_norm_is_over_the_channels_of_a_frame(x):
    layout = PackedFrames(LENGTHS, 9)
    norm = build_norm("rms", 4, eps=0.5).double()
    nn.init.normal_(norm.weight)
    y = layout.leave(norm(layout.enter(x), layout))
    frames = real_frames(x)
    expected = frames / (frames.square().mean(1, keepdim=True) + 0.5).sqrt() * norm.weight
    torch.testing.assert_close(real_frames(y), expected)


@pytest.mark.parametrize("name", ["batch", "layer", "rms", "instance", "group"])
@pytest.mark.parametrize("layout", layouts())
def test_bfloat16_frames_stay_bfloat16_beside_float32_parameters(x, name, layout):
    norm = build_norm(name, 4, 0.1)
    wide = norm(layout.enter(x.float()), layout)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = norm(layout.enter(x.bfloat16()), layout)
    torch.testing.assert_close(layout.leave(narrow.float()), layout.leave(wide), atol=0.05, rtol=0.02)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="weight"):
        build_norm("weight", 4, 0.1)
