import pytest
import torch

from s2s_commands.encoders.pooling import in_the_middle, mean_over_time


def test_the_mean_is_over_real_frames():
    x = torch.arange(12.0).view(2, 3, 2)
    expected = torch.stack([x[0, :2].mean(0), x[1].mean(0)])
    torch.testing.assert_close(mean_over_time(x, torch.tensor([2, 3])), expected)
    half = mean_over_time(x.half(), torch.tensor([2, 3]))
    assert half.dtype == torch.float16


@pytest.mark.parametrize("frames", [2, 3, 6, 7, 10])
def test_rows_lie_in_the_middle(frames):
    lengths = [2, 3, 6]
    x = 1 + torch.arange(3 * 6.0).view(3, 6, 1)
    found = in_the_middle(x, torch.tensor(lengths), frames)
    for row, length in enumerate(lengths):
        real = x[row, :length, 0].tolist()
        if length >= frames:
            first = (length - frames) // 2
            expected = real[first : first + frames]
        else:
            before = (frames - length) // 2  # the odd zero behind, as OpenSeq2Seq pads
            expected = [0.0] * before + real + [0.0] * (frames - length - before)
        assert found[row, :, 0].tolist() == expected
