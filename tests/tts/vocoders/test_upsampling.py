import pytest
import torch

from s2s_tts.vocoders.upsampling import Repetition, TransposedConvolutions
from s2s_tts.vocoders.wavenet_network import spread

FRAMES = torch.arange(5.0)[None, :, None].expand(1, 5, 3)


def test_repetition_takes_the_nearest_frame():
    up = Repetition()
    conditions = spread(up(FRAMES, torch.tensor([5])), up.stride(4), 16)
    assert conditions[0, :, 0].tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4]


def test_transposed_convolutions_begin_as_interpolation():
    up = TransposedConvolutions(3, [2, 4])
    assert up.stride(8) == 1
    conditions = up(FRAMES, torch.tensor([5]))
    assert conditions.shape == (1, 32, 3)
    expected = (torch.arange(32) + 0.5) / 8
    torch.testing.assert_close(conditions[0, 2:-8, 1], expected[2:-8], rtol=0, atol=0.1)


def test_transposed_convolutions_do_not_see_padding():
    torch.manual_seed(0)
    up = TransposedConvolutions(3, [2, 4])
    for parameter in up.parameters():
        torch.nn.init.normal_(parameter)
    frames = torch.randn(2, 9, 3)
    together = up(frames, torch.tensor([9, 4]))
    alone = up(frames[1:, :4], torch.tensor([4]))
    torch.testing.assert_close(together[1, : alone.size(1)], alone[0])


@pytest.mark.parametrize("strides", [[], [3], [1, 4]])
def test_odd_strides_are_refused(strides):
    with pytest.raises(ValueError, match="strides must be even"):
        TransposedConvolutions(3, strides)


def test_the_strides_must_make_a_frame():
    with pytest.raises(ValueError, match="make 8 samples, a frame 256"):
        TransposedConvolutions(3, [2, 4]).stride(256)
