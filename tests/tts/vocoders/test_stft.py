import pytest
import torch

from s2s_core.audio.features import LogSpectrogram, Spectrum
from s2s_tts.vocoders.stft import Stft

STFTS = [Stft(64, 64, 16), Stft(64, 50, 12), Stft(32, 32, 16), Stft(64, 41, 20)]


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stft", STFTS)
def test_inverse_gives_the_signal_back(stft):
    audio = noise(2, 10 * stft.hop_samples)
    back = stft.inverse(stft.forward(audio), torch.tensor([11, 11]))
    torch.testing.assert_close(back, audio, rtol=1e-9, atol=1e-9)


def test_spectra_are_those_of_the_features():
    features = LogSpectrogram(81, 8000, 20.0, 5.0, normalise="none", pad_to=1, spectrum=Spectrum(pre_emphasis=0.0))
    audio = noise(1, 1234).float()
    expected, _ = features(audio, torch.tensor([1234]))
    power = Stft(160, 160, 40).forward(audio / (audio.abs().max() + 1e-5)).abs().square()
    torch.testing.assert_close(10 * power.clamp(min=1e-9).log10(), expected, rtol=1e-4, atol=1e-3)


def test_inverse_is_the_least_squares_signal():
    """Griffin and Lim's equation against the normal equations of the transform written out as a matrix."""
    stft, samples = Stft(16, 12, 4), 24
    spectra = torch.complex(noise(1, 7, 9), noise(1, 7, 9))
    spectra.imag[..., 0] = spectra.imag[..., -1] = 0.0  # a real frame's have none

    def both(complex_spectra):
        frames = torch.fft.irfft(complex_spectra, n=16)
        return frames.flatten()  # Parseval: the distance of whole frames is that of whole spectra

    matrix = torch.stack([both(stft.forward(row[None])) for row in torch.eye(samples, dtype=torch.float64)], dim=1)
    expected = torch.linalg.lstsq(matrix, both(spectra)[:, None]).solution[:, 0]
    torch.testing.assert_close(stft.inverse(spectra, torch.tensor([7]))[0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("stft", STFTS)
def test_rows_do_not_see_their_padding(stft):
    spectra = torch.complex(noise(2, 9, stft.bins), noise(2, 9, stft.bins))
    audio = stft.inverse(spectra, torch.tensor([9, 5]))
    alone = stft.inverse(spectra[1:, :5], torch.tensor([5]))
    end = 4 * stft.hop_samples
    torch.testing.assert_close(audio[1, :end], alone[0], rtol=1e-12, atol=1e-12)
    assert not audio[1, end:].any()


@pytest.mark.parametrize(
    ("arguments", "named"), [((16, 20, 4), "n_fft is 16"), ((16, 16, 9), "hop_samples"), ((16, 16, 0), "hop_samples")]
)
def test_impossible_settings_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        Stft(*arguments)
