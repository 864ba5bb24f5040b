"""LARC against its two formulas written out with numbers."""

import pytest
import torch
from torch import nn

from s2s_core.optim.larc import Larc


def scaled(larc, weight, grad, lr=0.1, dtype=torch.float64):
    param = nn.Parameter(torch.tensor(weight, dtype=dtype))
    param.grad = torch.tensor(grad, dtype=dtype)
    larc(torch.optim.SGD([param], lr=lr))
    return param.grad.tolist()


def test_clip_binds_where_the_update_is_large():
    # eta ||w|| / (lr ||g||) = 0.01 * 5 / (0.1 * 10) = 0.05
    assert scaled(Larc(0.01, epsilon=0.0), [3.0, 4.0], [6.0, 8.0]) == pytest.approx([0.3, 0.4])


def test_clip_leaves_small_updates():
    # 0.01 * 5 / (0.1 * 0.1) = 5, so the factor is 1
    assert scaled(Larc(0.01), [3.0, 4.0], [0.06, 0.08]) == pytest.approx([0.06, 0.08], rel=1e-12)


def test_scale_sets_the_norm_whatever_the_rate():
    # eta ||w|| / ||g|| = 0.05 / 10, and 0.05 / 0.1 for the small gradient
    larc = Larc(0.01, mode="scale", epsilon=0.0)
    for lr in (0.1, 3.0):
        assert scaled(larc, [3.0, 4.0], [6.0, 8.0], lr) == pytest.approx([0.03, 0.04])
    assert scaled(larc, [3.0, 4.0], [0.006, 0.008]) == pytest.approx([0.03, 0.04])


def test_epsilon_joins_the_gradient_norm():
    assert scaled(Larc(0.01, epsilon=10.0), [3.0, 4.0], [6.0, 8.0]) == pytest.approx([0.15, 0.2])
    assert scaled(Larc(0.01, mode="scale", epsilon=10.0), [3.0, 4.0], [6.0, 8.0]) == pytest.approx([0.015, 0.02])


@pytest.mark.parametrize("mode", ["clip", "scale"])
def test_zero_weights_get_the_smallest_update(mode):
    assert scaled(Larc(0.01, mode=mode, min_update=1e-3), [0.0, 0.0], [6.0, 8.0]) == pytest.approx([6e-3, 8e-3])
    assert scaled(Larc(0.01, mode=mode), [0.0, 0.0], [6.0, 8.0]) == pytest.approx([6e-7, 8e-7])


@pytest.mark.parametrize("mode", ["clip", "scale"])
def test_zero_gradients_stay_zero(mode):
    assert scaled(Larc(0.01, mode=mode), [3.0, 4.0], [0.0, 0.0]) == [0.0, 0.0]


def test_rate_zero_does_not_divide_by_it():
    assert scaled(Larc(0.01), [0.0, 0.0], [6.0, 8.0], lr=0.0) == [6.0, 8.0]


def test_norms_of_16_bit_tensors_are_float32():
    # the sum of squares, 256 * 64^2 = 2^20, exceeds float16
    grad = scaled(Larc(0.01, epsilon=0.0), [64.0] * 256, [64.0] * 256, lr=0.1, dtype=torch.float16)
    assert grad == pytest.approx([6.4] * 256, rel=1e-3)


def test_each_tensor_and_group_by_itself():
    a, b, unused = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    a.grad, b.grad = torch.tensor([2.0]), torch.tensor([2.0])
    Larc(0.01, epsilon=0.0)(torch.optim.SGD([{"params": [a, unused], "lr": 0.1}, {"params": [b], "lr": 0.01}]))
    assert a.grad.item() == pytest.approx(0.1)
    assert b.grad.item() == pytest.approx(1.0)
    assert unused.grad is None


@pytest.mark.parametrize("kwargs", [{"eta": 0.0}, {"eta": 1.0, "mode": "lars"}, {"eta": 1.0, "min_update": -1.0}])
def test_wrong_values_are_named(kwargs):
    with pytest.raises(ValueError, match=r"eta|lars"):
        Larc(**kwargs)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_device_is_not_waited_for():
    param = nn.Parameter(torch.tensor([3.0, 4.0]).cuda())
    param.grad = torch.tensor([6.0, 8.0]).cuda()
    optimizer = torch.optim.SGD([param], lr=0.1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        Larc(0.01)(optimizer)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert param.grad.tolist() == pytest.approx([0.3, 0.4])
