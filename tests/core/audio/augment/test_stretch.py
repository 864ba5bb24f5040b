import math

import pytest
import torch
from torchaudio.transforms import Resample

from s2s_core.audio.augment import Pitch, Stretch
from s2s_core.audio.augment.stretch import played_faster, vocode

RATE = 8000


def tone(hz, samples=8000):
    return torch.sin(2 * math.pi * hz * torch.arange(samples) / RATE)


def pitch_of(audio):
    spectrum = torch.fft.rfft(audio * torch.hann_window(len(audio)), n=1 << 16).abs()
    return float(spectrum.argmax()) * RATE / (1 << 16)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_a_vocoded_tone_keeps_its_pitch_and_level(factor):
    width = math.ceil(8000 / factor)
    slow = vocode(tone(500)[None], torch.tensor([factor]), width, RATE)[0]
    assert slow.shape == (width,)
    inner = slow[1000:-1000]
    assert pitch_of(inner) == pytest.approx(500, abs=1)
    assert float(inner.square().mean()) == pytest.approx(0.5, rel=0.3)  # a vocoder blurs phases


def test_a_vocoder_at_its_own_tempo_changes_nothing():
    audio = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(vocode(audio, torch.ones(1), 4000, RATE), audio, atol=1e-4, rtol=1e-4)


def test_interpolation_agrees_with_the_library_s_resampling():
    audio = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    audio = Resample(RATE, 4000)(audio)  # nothing above half of the new band
    audio = Resample(4000, RATE)(audio)
    found = played_faster(audio, torch.tensor([1.25]), 3000)[0, 200:-200]
    expected = Resample(5, 4, lowpass_filter_width=32)(audio)[0, :3000][200:-200]
    assert float((found - expected).norm() / expected.norm()) < 0.03


def test_aliases_are_barred():
    high = played_faster(tone(3800)[None], torch.tensor([2.0]), 4000)[0, 200:-200]
    assert float(high.square().mean()) < 0.01


def test_stretch_changes_length_and_not_pitch():
    audio = tone(700).repeat(12, 1)
    audio[:, 6000:] = 0
    lengths = torch.full((12,), 6000)
    changed, new = Stretch(0.2, RATE)(audio, lengths, torch.Generator().manual_seed(0))
    assert new.min() < 5500
    assert new.max() > 6500
    assert new.min() >= 5000
    assert new.max() <= 7500
    for row, length in zip(changed, new.tolist(), strict=True):
        assert pitch_of(row[500 : length - 500]) == pytest.approx(700, abs=2)
        assert not row[length:].any()


def test_pitch_changes_pitch_and_not_length():
    audio = tone(700).repeat(12, 1)
    lengths = torch.full((12,), 8000)
    changed, same = Pitch(2.0, RATE)(audio, lengths, torch.Generator().manual_seed(0))
    assert torch.equal(same, lengths)
    generator = torch.Generator().manual_seed(0)
    semitones = -2.0 + 4.0 * torch.rand(12, generator=generator)
    for row, steps in zip(changed, semitones.tolist(), strict=True):
        assert pitch_of(row[800:-800]) == pytest.approx(700 * 2 ** (steps / 12), abs=3)


def test_padding_and_batch_mates_do_not_matter():
    generator = torch.Generator().manual_seed(1)
    long, short = torch.randn(4000, generator=generator), torch.randn(1500, generator=generator)
    together = torch.stack([long, torch.nn.functional.pad(short, (0, 2500))])
    factors = torch.tensor([1.1, 0.9])
    for change in (lambda a, f: vocode(a, f, 5000, RATE), lambda a, f: played_faster(a, f, 5000)):
        alone = change(short[None], factors[1:])[0, :1300]
        torch.testing.assert_close(change(together, factors)[1, :1300], alone, atol=1e-3, rtol=1e-3)


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\), got 1"):
        Stretch(1.0)
    with pytest.raises(ValueError, match="0 to 12, got 13"):
        Pitch(13)
