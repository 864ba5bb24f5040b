import pytest
import torch

from s2s_core.audio.augment import Gain, WhiteNoise
from waves import batch, decibels, generator, rms


@pytest.mark.parametrize("level_db", [-90.0, -46.0, -20.0])
def test_white_noise_has_its_level_under_the_peak(level_db):
    audio, lengths = batch([60000, 40000, 50000])
    noisy, _ = WhiteNoise(level_db, level_db)(audio.double(), lengths, generator())
    for row, before, count in zip(noisy, audio.double(), lengths.tolist(), strict=True):
        noise = (row - before)[:count]
        assert decibels(rms(noise) / float(before.abs().max())) == pytest.approx(level_db, abs=0.1)
        assert abs(float(noise.mean())) < 0.02 * rms(noise)
        assert float((noise.abs() < rms(noise)).double().mean()) == pytest.approx(0.683, abs=0.01)


def test_white_noise_levels_are_even_between_the_ends_and_some_rows_stay_clean():
    audio, lengths = batch([2000] * 400)
    noisy, _ = WhiteNoise(-60, -20, probability=0.5)(audio, lengths, generator())
    noise = (noisy - audio).double().square().mean(1).sqrt()
    clean = noise == 0
    assert float(clean.double().mean()) == pytest.approx(0.5, abs=0.08)
    levels = 20 * torch.log10(noise[~clean] / audio[~clean].abs().amax(1))
    assert -60.5 < levels.min() < -58
    assert -22 < levels.max() < -19.5
    assert float(levels.mean()) == pytest.approx(-40, abs=2.5)


def test_gain_is_even_in_decibels():
    audio, lengths = batch([500] * 300)
    louder, _ = Gain(-12, 6)(audio, lengths, generator())
    gains = 20 * torch.log10(louder[:, 0] / audio[:, 0])
    assert -12 <= gains.min() < -11.5
    assert 5.5 < gains.max() <= 6.0001
    assert float(gains.mean()) == pytest.approx(-3, abs=1)
    torch.testing.assert_close(louder / audio, (louder[:, :1] / audio[:, :1]).expand_as(audio))
