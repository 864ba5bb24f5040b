import pytest
import torch

from s2s_core.audio.augment import SpeedPerturb
from s2s_core.nn.mask import length_mask
from waves import RATE, batch, generator, rms


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.25, 0.5])
def test_speed_divides_the_length_and_multiplies_the_frequency(factor):
    time = torch.arange(RATE) / RATE
    audio = torch.stack([torch.sin(2 * torch.pi * 500 * time), torch.sin(2 * torch.pi * 1000 * time)])
    lengths = torch.tensor([RATE, RATE // 2])
    audio = audio * length_mask(lengths, RATE)
    changed, changed_lengths = SpeedPerturb([factor])(audio, lengths, generator())
    assert changed_lengths.tolist() == [-(-RATE * 100 // round(100 * factor)), -(-RATE * 50 // round(100 * factor))]
    for row, count, hertz in zip(changed, changed_lengths.tolist(), (500, 1000), strict=True):
        inner = row[200 : count - 200]
        spectrum = torch.fft.rfft(inner * torch.hann_window(len(inner)), 8 * RATE).abs()
        assert int(spectrum.argmax()) / 8 == pytest.approx(hertz * factor, rel=2e-3)
        assert rms(inner) == pytest.approx(0.5**0.5, rel=0.01)


def test_speed_draws_every_factor_for_each_utterance_evenly():
    audio, lengths = batch([1100] * 300)
    _, changed = SpeedPerturb([0.5, 1.0, 1.1])(audio, lengths, generator())
    values, counts = changed.unique(return_counts=True)
    assert values.tolist() == [1000, 1100, 2200]
    assert counts.min() > 70
    _, changed = SpeedPerturb(max_change=0.1)(audio, lengths, generator())
    assert (changed.min(), changed.max()) == (1000, 1223)
    assert len(changed.unique()) == 21


def test_speed_one_is_nothing():
    audio, lengths = batch([900, 400])
    changed, changed_lengths = SpeedPerturb([1.0])(audio, lengths, generator())
    torch.testing.assert_close(changed, audio, rtol=0, atol=0)
    assert changed_lengths.tolist() == [900, 400]


def test_an_utterance_sounds_the_same_in_any_batch():
    audio, lengths = batch([5000, 3000], width=6000)
    together, _ = SpeedPerturb([0.9])(audio, lengths, generator())
    alone, count = SpeedPerturb([0.9])(audio[1:, :3000], lengths[1:], generator())
    torch.testing.assert_close(together[1, : int(count)], alone[0], atol=1e-6, rtol=0)
