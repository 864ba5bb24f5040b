import pytest
import torch

from s2s_commands.encoders.jasper import JasperEncoder
from s2s_core.nn.tdnn import TdnnBlock

BLOCKS = [TdnnBlock(6, 5, stride=2), TdnnBlock(8, 3, stride=2)]


def test_flatten_puts_all_frames_side_by_side():
    torch.manual_seed(0)
    encoder = JasperEncoder(4, BLOCKS, "flatten", frames=10).eval()
    assert encoder.out_features == 3 * 8
    features = torch.randn(1, 10, 4)
    expected, _ = encoder.network(features, torch.tensor([10]))
    torch.testing.assert_close(encoder(features, torch.tensor([10])), expected.reshape(1, -1))


def test_a_short_clip_is_a_picture_with_margins():
    encoder = JasperEncoder(4, BLOCKS, "flatten", frames=10).eval()
    clip = torch.randn(1, 4, 4)
    whole = torch.nn.functional.pad(clip, (0, 0, 3, 3))
    torch.testing.assert_close(encoder(clip, torch.tensor([4])), encoder(whole, torch.tensor([10])))


def test_flatten_needs_a_number_of_frames():
    with pytest.raises(ValueError, match="frames=None"):
        JasperEncoder(4, BLOCKS, "flatten")
    with pytest.raises(ValueError, match="'mean' or 'flatten', got 'max'"):
        JasperEncoder(4, BLOCKS, "max")
