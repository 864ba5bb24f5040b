"""Against the published iteration, written out frame by frame in NumPy."""

import itertools

import numpy as np
import pytest
import torch

from s2s_tts.interfaces import Spectrogram
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.vocoders.griffin_lim import GriffinLim, griffin_lim
from s2s_tts.vocoders.stft import Stft

STFT = Stft(64, 60, 15)
FRAMES = 40


def chirps(rows=2, frames=FRAMES):
    """Sums of two sweeps and a little noise."""
    time = np.arange((frames - 1) * STFT.hop_samples)
    noise = np.random.default_rng(0).standard_normal((rows, len(time)))
    sweeps = [np.sin(2e-4 * (k + 1) * time**2) + 0.5 * np.sin(0.7 * (k + 1) * time) for k in range(rows)]
    return torch.from_numpy(np.stack(sweeps) + 0.05 * noise)


def magnitudes(audio):
    return STFT.forward(audio).abs()


def analysed(signal):
    window = np.hanning(60)
    padded = np.concatenate([np.zeros(30), signal, np.zeros(60)])
    return np.stack([np.fft.rfft(padded[15 * t : 15 * t + 60] * window, 64) for t in range(1 + len(signal) // 15)])


def synthesised(spectra):
    window = np.hanning(60)
    total, weight = np.zeros(15 * len(spectra) + 60), np.zeros(15 * len(spectra) + 60)
    for t, row in enumerate(spectra):
        total[15 * t : 15 * t + 60] += np.fft.irfft(row, 64)[:60] * window
        weight[15 * t : 15 * t + 60] += window**2
    end = 30 + 15 * (len(spectra) - 1)
    return total[30:end] / weight[30:end]


def published(wanted, first, iterations, momentum):
    """The signals after each iteration of Perraudin et al.'s algorithm 2: t, c and the two projections."""
    signals = []
    t, c_before = first, 0.0
    for _ in range(iterations):
        signal = synthesised(wanted * np.exp(1j * np.angle(t)))
        signals.append(signal)
        c = analysed(signal)
        t = c + momentum * (c - c_before)
        c_before = c
    return signals


def convergence(wanted, signal):
    """Spectral convergence: the relative distance of the magnitudes."""
    return np.linalg.norm(np.abs(analysed(signal)) - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_each_iteration_is_the_published_one(momentum):
    wanted = magnitudes(chirps(1))
    lengths = torch.tensor([FRAMES])
    angles = torch.rand(FRAMES, STFT.bins, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    first = np.exp(2j * np.pi * angles.numpy())
    expected = published(wanted[0].numpy(), first, 30, momentum)
    for iterations in (1, 2, 3, 10, 30):
        found = griffin_lim(wanted, lengths, STFT, iterations, momentum, torch.tensor([3]))[0].numpy()
        reached = convergence(wanted[0].numpy(), found)
        assert reached == pytest.approx(convergence(wanted[0].numpy(), expected[iterations - 1]), rel=1e-6)
        np.testing.assert_allclose(found, expected[iterations - 1], rtol=0, atol=1e-6)


def test_without_momentum_the_distance_never_grows():
    wanted = magnitudes(chirps(1))
    steps = [griffin_lim(wanted, torch.tensor([FRAMES]), STFT, n, 0.0)[0].numpy() for n in range(1, 40)]
    distances = [convergence(wanted[0].numpy(), signal) for signal in steps]
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(distances))


def test_momentum_gets_nearer_in_the_same_iterations():
    wanted, lengths = magnitudes(chirps(6)), torch.full((6,), FRAMES)

    def mean_distance(momentum):
        signals = griffin_lim(wanted, lengths, STFT, 60, momentum)
        return np.mean([convergence(w.numpy(), signal.numpy()) for w, signal in zip(wanted, signals, strict=True)])

    assert mean_distance(0.99) < 0.7 * mean_distance(0.0)  # 0.087 and 0.153


def test_a_row_is_the_same_alone_and_ends_with_its_frames():
    wanted = magnitudes(chirps())
    wanted[1, 25:] = 1e3  # padding may hold anything
    lengths = torch.tensor([FRAMES, 25])
    audio = griffin_lim(wanted, lengths, STFT, 10)
    alone = griffin_lim(wanted[1:, :25], lengths[1:], STFT, 10)
    torch.testing.assert_close(audio[1, : 24 * 15], alone[0], rtol=1e-9, atol=1e-9)
    assert not audio[1, 24 * 15 :].any()


def test_each_row_has_its_own_seed():
    wanted, lengths = magnitudes(chirps(1)).expand(3, -1, -1), torch.full((3,), FRAMES)
    audio = griffin_lim(wanted, lengths, STFT, 3, seeds=torch.tensor([1, 1, 2]))
    assert torch.equal(audio[0], audio[1])
    assert not torch.allclose(audio[0], audio[2])


def test_silence_stays_silent():
    assert not griffin_lim(torch.zeros(1, 8, STFT.bins), torch.tensor([8]), STFT, 5).any()


@pytest.mark.parametrize(
    ("changed", "named"), [({"iterations": 0}, "iterations"), ({"momentum": 1.5}, "momentum"), ({"momentum": -1}, "1")]
)
def test_arguments_out_of_range_are_refused(changed, named):
    with pytest.raises(ValueError, match=named):
        griffin_lim(torch.zeros(1, 8, STFT.bins), torch.tensor([8]), STFT, **changed)


def test_another_transforms_bins_are_refused():
    with pytest.raises(ValueError, match="5 bins, the transform 33"):
        griffin_lim(torch.zeros(1, 8, 5), torch.tensor([8]), STFT)


FEATURES = MelSpectrogram(40, 8000, 256, mel_floor=1e-4)


def voice(samples=6400):
    """A harmonic sound whose pitch and timbre change."""
    time = torch.arange(samples) / 8000
    pitch = 2 * torch.pi * (140 * time + 40 * time.square())
    strengths = [(0.3 + 0.2 * torch.sin(9 * time + k)) / k for k in range(1, 12)]
    return sum(strength * torch.sin(k * pitch) for k, strength in enumerate(strengths, 1))[None] * 0.3


def spectrogram_of(audio, linear):
    lengths = torch.tensor([audio.size(1)])
    mel, frames = FEATURES(audio, lengths)
    return Spectrogram(mel, frames, FEATURES.both(audio, lengths)[1] if linear else None)


@pytest.mark.parametrize(("linear", "mel_inverse"), [(True, "nnls"), (False, "nnls"), (False, "pinv")])
def test_what_is_heard_has_the_wanted_bands(linear, mel_inverse):
    wanted = spectrogram_of(voice(), linear)
    audio = GriffinLim(FEATURES, mel_inverse=mel_inverse)(wanted)
    assert audio.shape == (1, FEATURES.samples(wanted.lengths))
    loud = wanted.mel > wanted.mel.max() - 7  # the upper 60 dB
    distance = (spectrogram_of(audio, False).mel - wanted.mel)[loud].abs().mean()
    assert distance < 0.25  # 2 dB


def test_non_negative_least_squares_is_nearer_than_the_pseudo_inverse():
    wanted = spectrogram_of(voice(), False)
    nnls, pinv = (GriffinLim(FEATURES, mel_inverse=kind)(wanted) for kind in ("nnls", "pinv"))
    distances = [(spectrogram_of(audio, False).mel - wanted.mel).square().mean() for audio in (nnls, pinv)]
    assert distances[0] < distances[1]


def test_sharpness_is_a_power_of_the_magnitudes():
    wanted = spectrogram_of(voice(), True)
    assert wanted.magnitude is not None
    raised = Spectrogram(wanted.mel, wanted.lengths, 1.5 * wanted.magnitude)
    torch.testing.assert_close(GriffinLim(FEATURES, 2, sharpness=1.5)(wanted), GriffinLim(FEATURES, 2)(raised))


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"iterations": 0}, "iterations"), ({"mel_inverse": "lstsq"}, "'lstsq'"), ({"sharpness": 0.0}, "sharpness")],
)
def test_a_wrong_setting_is_refused_at_once(changed, named):
    with pytest.raises(ValueError, match=named):
        GriffinLim(FEATURES, **changed)
