"""Values of the synthesis spectrograms against librosa's formulas, written out in NumPy."""

import numpy as np
import pytest
import torch

from s2s_core.audio.mel import MelScale, mel_filters
from s2s_tts.spectrogram import MelSpectrogram


def magnitudes_by_hand(signal, n_fft, hop):
    padded = np.concatenate([np.zeros(n_fft // 2), signal, np.zeros(n_fft)])
    window = np.hanning(n_fft)
    frames = 1 + len(signal) // hop
    return np.stack([np.abs(np.fft.rfft(padded[t * hop : t * hop + n_fft] * window)) for t in range(frames)])


def test_mel_bands_are_logarithms_of_summed_magnitudes():
    signal = 0.3 * np.random.default_rng(0).standard_normal(3000)
    features = MelSpectrogram(16, 8000, 256, 64)
    mel, lengths = features(torch.tensor(signal[None], dtype=torch.float32), torch.tensor([3000]))
    magnitude = magnitudes_by_hand(signal, 256, 64)
    filters = mel_filters(16, 256, 8000, MelScale("htk")).double().numpy()
    assert lengths.tolist() == [1 + 3000 // 64]
    np.testing.assert_allclose(mel[0], np.log(np.maximum(magnitude @ filters, 1e-2)), atol=2e-4)


def test_linear_spectrum_has_its_own_floor():
    signal = 0.3 * np.random.default_rng(1).standard_normal(1000)
    signal[400:] = 0
    features = MelSpectrogram(16, 8000, 256, 64, magnitude_floor=1e-3)
    _, spectra, lengths = features.both(torch.tensor(signal[None], dtype=torch.float32), torch.tensor([1000]))
    magnitude = magnitudes_by_hand(signal, 256, 64)
    assert spectra.shape == (1, int(lengths), features.bins)
    np.testing.assert_allclose(spectra[0], np.log(np.maximum(magnitude, 1e-3)), atol=2e-3)
    assert float(spectra[0, -1].max()) == pytest.approx(np.log(1e-3), abs=1e-5)


def test_both_gives_the_bands_that_the_features_give():
    features, lengths = MelSpectrogram(16, 8000, 256, 64), torch.tensor([900, 333])
    audio = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    expected, frames = features(audio, lengths)
    mel, magnitude, found = features.both(audio, lengths)
    torch.testing.assert_close(mel, expected, atol=1e-6, rtol=1e-6)
    assert found.tolist() == frames.tolist()
    for row, end in enumerate(frames.tolist()):
        assert magnitude[row, :end].any(1).all()
        assert not magnitude[row, end:].any()


def test_defaults_are_the_published_ones():
    features = MelSpectrogram()
    assert (features.hop_samples, features.window_samples, features.bins) == (256, 1024, 513)
    assert features.samples(torch.tensor([0, 1, 11])).tolist() == [0, 0, 2560]


def test_floors_must_be_positive():
    with pytest.raises(ValueError, match="floors must be above 0"):
        MelSpectrogram(mel_floor=0.0)
