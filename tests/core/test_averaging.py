import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from s2s_core.averaging import WarmEma


def test_the_average_follows_its_formula():
    ema = WarmEma(decay=0.5)
    net = nn.BatchNorm1d(1)
    average = AveragedModel(net, multi_avg_fn=ema._average, use_buffers=True)
    expected = None
    for step, value in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]):
        ema._latest_update_step = step
        with torch.no_grad():
            net.weight.fill_(value)
            net.running_mean.fill_(-value)
            net.num_batches_tracked.fill_(step)
        average.update_parameters(net)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = value if expected is None else keep * expected + (1 - keep) * value
    assert average.module.weight.item() == pytest.approx(expected)
    assert average.module.running_mean.item() == pytest.approx(-expected)
    assert average.module.num_batches_tracked.item() == 10


def test_a_decay_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"got 1\.0"):
        WarmEma(1.0)
