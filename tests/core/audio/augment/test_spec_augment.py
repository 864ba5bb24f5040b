import numpy as np
import pytest
import torch

from s2s_core.audio.augment import SpecAugment
from s2s_core.nn.mask import length_mask
from waves import generator


def runs(masked):
    """The lengths of the runs of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], masked.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def test_masks_have_every_width_from_0_to_the_maximum_evenly():
    features, lengths = torch.ones(4000, 50, 40), torch.full((4000,), 50)
    masked = SpecAugment(freq_masks=1, freq_width=4, time_masks=0)(features, lengths, generator())
    bands = (masked == 0).all(1).sum(1)
    assert ((masked == 0).any(1).sum(1) == bands).all()
    np.testing.assert_allclose(np.bincount(bands, minlength=5) / 4000, 0.2, atol=0.03)
    masked = SpecAugment(freq_masks=0, time_masks=1, time_width=7)(features, lengths, generator())
    widths = (masked == 0).all(2).sum(1)
    np.testing.assert_allclose(np.bincount(widths, minlength=8) / 4000, 0.125, atol=0.03)
    for row in (masked[:200] == 0).all(2).numpy():
        assert len(runs(row)) <= 1


def test_masks_reach_every_place_alike_and_only_the_utterance():
    features = torch.ones(6000, 20, 10)
    lengths = torch.full((6000,), 12)
    features = features * length_mask(lengths, 20)[:, :, None]
    masked = SpecAugment(freq_masks=0, time_masks=1, time_width=1)(features, lengths, generator())
    hits = ((masked == 0).all(2) & length_mask(lengths, 20)).double().mean(0)
    np.testing.assert_allclose(hits[:12], 0.5 / 12, atol=0.01)
    masked = SpecAugment(freq_masks=1, freq_width=1, time_masks=0)(features, lengths, generator())
    np.testing.assert_allclose((masked[:, 0] == 0).double().mean(0), 0.5 / 10, atol=0.01)


def test_masks_spare_the_rest_and_are_at_most_as_many_as_asked():
    features = torch.randn(200, 100, 64, generator=generator(5)) + 10
    lengths = torch.full((200,), 100)
    masked = SpecAugment(2, 6, 3, 10)(features, lengths, generator())
    kept = masked != 0
    torch.testing.assert_close(masked[kept], features[kept], rtol=0, atol=0)
    times, bands = (~kept).all(2), (~kept).all(1)
    assert torch.equal(~kept, times[:, :, None] | bands[:, None, :])
    assert times.sum(1).max() <= 30
    assert times.sum(1).double().mean() > 10
    assert bands.sum(1).max() <= 12
    assert max(len(runs(row)) for row in times.numpy()) == 3


def test_a_stretch_is_at_most_its_part_of_an_utterance():
    features, lengths = torch.ones(500, 100, 4), torch.tensor([100, 10, 1, 40, 0] * 100)
    masked = SpecAugment(0, 0, 1, 50, max_time_fraction=0.2)(features, lengths, generator())
    hidden = (masked == 0).all(2).sum(1)
    for count in (100, 10, 1, 40, 0):
        assert hidden[lengths == count].max() == count // 5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_does_not_matter_to_masks():
    features, lengths = torch.randn(64, 300, 80), torch.randint(1, 301, (64,))
    expected = SpecAugment(2, 20, 2, 70, 0.5)(features, lengths, generator())
    actual = SpecAugment(2, 20, 2, 70, 0.5)(features.cuda(), lengths.cuda(), generator())
    torch.testing.assert_close(actual.cpu(), expected, rtol=0, atol=0)
