import pytest
import torch

from s2s_commands.decoders.linear import LinearHead
from s2s_commands.encoders.matchbox import MatchboxEncoder


@pytest.mark.parametrize(("repeat", "published"), [(1, 77_000), (2, 93_000)])
def test_sizes_are_the_published_ones(repeat, published):
    encoder, head = MatchboxEncoder(64, 3, repeat, 64), LinearHead(128, 30)
    size = sum(p.numel() for module in (encoder, head) for p in module.parameters())
    assert size == pytest.approx(published, rel=0.01)


def test_a_clip_of_any_length_is_one_vector():
    encoder = MatchboxEncoder(8, 1, 1, 4, 6, stride=2).eval()
    assert encoder(torch.randn(2, 31, 8), torch.tensor([31, 1])).shape == (2, 6)
    with pytest.raises(ValueError, match="positive"):
        MatchboxEncoder(8, 0)
