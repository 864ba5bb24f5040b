import torch

from s2s_core.audio.augment import RandomCrop
from s2s_core.nn.mask import length_mask
from waves import RATE, generator


def test_crop_keeps_a_stretch_and_spares_short_utterances():
    audio = torch.arange(1.0, 3001).repeat(400, 1)
    lengths = torch.full((400,), 3000)
    lengths[::2] = 700
    audio = audio * length_mask(lengths, 3000)
    cropped, counts = RandomCrop(0.0625)(audio, lengths, generator())
    assert cropped.shape == (400, 1000)
    assert counts.unique().tolist() == [700, 1000]
    torch.testing.assert_close(cropped[::2, :700], audio[::2, :700])
    long = cropped[1::2]
    torch.testing.assert_close(long - long[:, :1], torch.arange(1000.0).expand(200, 1000))
    assert 1 <= long[:, 0].min() < 100
    assert 1900 < long[:, 0].max() <= 2001
    reached, _ = RandomCrop(2999 / RATE)(audio[1:2].expand(50, -1), lengths[1:2].expand(50), generator())
    assert reached[:, 0].unique().tolist() == [1, 2]
