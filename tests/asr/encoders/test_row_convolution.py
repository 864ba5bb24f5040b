import pytest
import torch

from s2s_asr.encoders.row_convolution import RowConvolution


def test_it_looks_ahead_only():
    row = RowConvolution(2, 3)
    x = torch.randn(1, 6, 2)
    wanted = torch.zeros(6, 2)
    for t in range(6):
        for j in range(3):
            if t + j < 6:
                wanted[t] += row.weight[j] * x[0, t + j]
    torch.testing.assert_close(row(x)[0], wanted)


def test_a_width_of_one_weighs_each_feature():
    row = RowConvolution(3, 1)
    x = torch.randn(2, 4, 3)
    assert torch.equal(row(x), x * row.weight[0])


def test_no_width_is_refused():
    with pytest.raises(ValueError, match="width must be positive, not 0"):
        RowConvolution(3, 0)
