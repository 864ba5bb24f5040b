"""The references here are NumPy and SciPy in float64, written after the definitions of the two original libraries."""

import math

import jsonargparse
import numpy as np
import pytest
import scipy.fft
import torch

from s2s_core.audio.features import Features, LogMel, LogSpectrogram, Mfcc, Spectrum
from s2s_core.audio.mel import MelScale

RATE, WINDOW, HOP = 16000, 320, 160
PSF = {"pad_to": 1, "normalise": "utterance"}
PSF_MEL = {**PSF, "spectrum": Spectrum(window="none", n_fft=512, centred=False), "mel": MelScale("htk_bins")}


def speech(samples, seed=0):
    """Tones that move, under noise that comes and goes."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    tones = sum(np.sin(2 * np.pi * (f + 40 * np.sin(5 * time)) * time) / f for f in (220.0, 900.0, 2500.0)) * 40
    return 0.3 * (tones + rng.normal(size=samples)) * (0.2 + np.abs(np.sin(9 * time)))


def peak_one(signal):
    return signal / (np.abs(signal).max() + 1e-5)


def emphasised(signal):
    return np.concatenate([signal[:1], signal[1:] - 0.97 * signal[:-1]])


def psf_frames(signal):
    count = 1 if len(signal) <= WINDOW else 1 + math.ceil((len(signal) - WINDOW) / HOP)
    padded = np.concatenate([signal, np.zeros((count - 1) * HOP + WINDOW - len(signal))])
    return np.stack([padded[i * HOP : i * HOP + WINDOW] for i in range(count)])


def psf_power(frames, n_fft):
    return np.abs(np.fft.rfft(frames, n_fft)) ** 2 / n_fft


def psf_filters(count, n_fft):
    """Triangles whose corners are rounded down to bins, drawn bin by bin."""

    def mel(hz):
        return 2595 * np.log10(1 + hz / 700)

    points = 700 * (10 ** (np.linspace(mel(0), mel(RATE / 2), count + 2) / 2595) - 1)
    bins = np.floor((n_fft + 1) * points / RATE).astype(int)
    filters = np.zeros((count, n_fft // 2 + 1))
    for j in range(count):
        for i in range(bins[j], bins[j + 1]):
            filters[j, i] = (i - bins[j]) / (bins[j + 1] - bins[j])
        for i in range(bins[j + 1], bins[j + 2]):
            filters[j, i] = (bins[j + 2] - i) / (bins[j + 2] - bins[j + 1])
    return filters


def psf_log_mel(signal, count):
    mels = psf_power(psf_frames(emphasised(signal)), 512) @ psf_filters(count, 512).T
    return np.log(np.where(mels == 0, np.finfo(float).eps, mels))


def librosa_power(signal, n_fft, window=None):
    """A centred transform whose window is padded to ``n_fft``, with zeros around the signal."""
    window = np.hanning(WINDOW) if window is None else window
    window = np.pad(window, (n_fft - WINDOW) // 2)
    padded = np.pad(signal, n_fft // 2)
    count = 1 + (len(padded) - n_fft) // HOP
    frames = np.stack([padded[i * HOP : i * HOP + n_fft] for i in range(count)])
    return np.abs(np.fft.rfft(frames * window)) ** 2


def slaney_filters(count, n_fft, low_hz=0.0, high_hz=RATE / 2):
    def mel(hz):
        return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)

    def hertz(mel):
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    corners = [hertz(m) for m in np.linspace(mel(low_hz), mel(high_hz), count + 2)]
    frequencies = np.arange(n_fft // 2 + 1) * RATE / n_fft
    rows = [np.interp(frequencies, corners[j : j + 3], [0, 1, 0], 0, 0) for j in range(count)]
    return np.stack([row * 2 / (corners[j + 2] - corners[j]) for j, row in enumerate(rows)])


def standardised(features, axis=None):
    return (features - features.mean(axis, keepdims=True)) / features.std(axis, keepdims=True)


def compute(module, signal):
    audio = torch.from_numpy(np.asarray(signal, np.float32))[None]
    features, lengths = module.eval()(audio, torch.tensor([audio.size(1)]))
    return features[0, : int(lengths)].numpy()


def assert_close(actual, expected, atol=2e-3):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=atol, rtol=1e-4)


@pytest.mark.parametrize("samples", [100, 320, 321, 16000, 16077])
def test_psf_log_spectrogram(samples):
    signal = speech(samples)
    power = psf_power(psf_frames(peak_one(signal)) * np.hanning(WINDOW), WINDOW)[:, :160]
    expected = standardised(10 * np.log10(np.maximum(power, 1e-30)))
    module = LogSpectrogram(160, spectrum=Spectrum(centred=False, pre_emphasis=0, log_floor=1e-25), **PSF)
    assert_close(compute(module, signal), expected)


def test_psf_rounds_to_16_bits_and_we_are_near():
    signal = speech(16000)
    rounded = (peak_one(signal) * 32767).astype(np.int16).astype(float)
    power = psf_power(psf_frames(rounded) * np.hanning(WINDOW), WINDOW)[:, :160]
    module = LogSpectrogram(160, spectrum=Spectrum(centred=False, pre_emphasis=0, log_floor=1e-25), **PSF)
    assert np.abs(compute(module, signal) - standardised(10 * np.log10(power))).mean() < 0.005


@pytest.mark.parametrize("count", [26, 40])
def test_psf_log_mel(count):
    signal = speech(20011)
    expected = psf_log_mel(peak_one(signal), count)
    filled = psf_filters(count, 512).sum(1) > 0
    actual = compute(LogMel(count, normalise="none", pad_to=1, **{k: PSF_MEL[k] for k in ("spectrum", "mel")}), signal)
    assert_close(actual[:, filled] - math.log(512), expected[:, filled])
    assert filled.all()
    assert_close(compute(LogMel(count, **PSF_MEL), signal), standardised(expected))


def test_psf_mfcc():
    signal = speech(16000)
    cepstra = scipy.fft.dct(psf_log_mel(peak_one(signal), 26), type=2, norm="ortho")[:, :13]
    lifted = cepstra * (1 + 13 * np.sin(np.pi * np.arange(13) / 26))
    # psf divides powers by the points of the transform, a constant of the logarithms that reaches the zeroth cepstrum
    lifted[:, 0] += math.log(512) * math.sqrt(26)
    assert_close(compute(Mfcc(13, lifter=26, **PSF_MEL | {"normalise": "none"}), signal), lifted, atol=5e-3)


@pytest.mark.parametrize("samples", [100, 320, 16000, 16077])
def test_librosa_log_spectrogram(samples):
    signal = speech(samples)
    power = librosa_power(peak_one(signal), WINDOW)[:, :96]
    expected = 10 * np.log10(np.maximum(power, 1e-9))
    assert_close(compute(LogSpectrogram(96, normalise="none"), signal), expected)
    assert_close(compute(LogSpectrogram(96), signal), standardised(expected))
    if samples > 1000:
        assert_close(compute(LogSpectrogram(96, normalise="feature"), signal), standardised(expected, 0))


@pytest.mark.parametrize(("name", "values"), [("hamming", np.hamming(WINDOW)), ("none", np.ones(WINDOW))])
def test_windows(name, values):
    signal = speech(8000)
    expected = 10 * np.log10(librosa_power(peak_one(signal), WINDOW, values)[:, :96])
    spectrum = Spectrum(window=name, pre_emphasis=0)
    assert_close(compute(LogSpectrogram(96, normalise="none", spectrum=spectrum), signal), expected)


@pytest.mark.parametrize(("low_hz", "high_hz"), [(0.0, None), (60.0, 7000.0)])
def test_librosa_log_mel(low_hz, high_hz):
    signal = speech(16077)
    filters = slaney_filters(64, 512, low_hz, high_hz or RATE / 2)
    mels = librosa_power(emphasised(peak_one(signal)), 512) @ filters.T
    expected = np.log(np.maximum(mels, 1e-9))
    options = {"mel": MelScale("slaney", low_hz, high_hz)}
    assert_close(compute(LogMel(64, normalise="none", **options), signal), expected)
    assert_close(compute(LogMel(64, **options), signal), standardised(expected, 0))


def test_librosa_mfcc_is_the_orthonormal_cosine_transform_of_log_mels():
    signal = speech(16000)
    mels = np.log(librosa_power(emphasised(peak_one(signal)), 512) @ slaney_filters(26, 512).T)
    expected = scipy.fft.dct(mels, type=2, norm="ortho")[:, :13]
    assert_close(compute(Mfcc(13, normalise="none"), signal), expected, atol=5e-3)
    assert_close(compute(Mfcc(13), signal), standardised(expected, 0), atol=5e-3)


MODULES = {
    "librosa spectrogram": LogSpectrogram(80, pad_to=1),
    "psf spectrogram": LogSpectrogram(80, spectrum=Spectrum(centred=False, pre_emphasis=0), pad_to=16),
    "librosa mel": LogMel(40, pad_to=8),
    "psf mel": LogMel(26, **PSF_MEL),
    "mel as it is": LogMel(40, normalise="none", spectrum=Spectrum(peak_gain=False)),
    "mfcc": Mfcc(13, normalise="utterance"),
}


@pytest.mark.parametrize("name", MODULES)
def test_neither_batch_nor_padding_matters(name):
    module = MODULES[name].eval()
    lengths = torch.tensor([16000, 9999, 5, 320, 12801])
    signals = [torch.from_numpy(speech(n, seed).astype(np.float32)) for seed, n in enumerate(lengths.tolist())]
    torch.manual_seed(0)
    audio = torch.randn(5, 17003)  # what lies beyond an end must not be looked at
    for row, signal in zip(audio, signals, strict=True):
        row[: len(signal)] = signal
    together, frames = module(audio, lengths)
    assert together.size(1) % module.pad_to == 0
    torch.testing.assert_close(frames, module.output_lengths(lengths))
    for row, signal, count in zip(together, signals, frames.tolist(), strict=True):
        alone, alone_count = module(signal[None], torch.tensor([len(signal)]))
        assert alone_count.tolist() == [count]
        torch.testing.assert_close(row[:count], alone[0, :count], atol=1e-5, rtol=1e-5)
        assert row[count:].abs().sum() == 0
        assert alone.size(1) == -(-count // module.pad_to) * module.pad_to


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 319, 320, 321, 480, 481, 16000, 16001])
def test_output_lengths_follow_their_formulas(samples):
    number = torch.tensor([samples])
    assert LogMel().output_lengths(number).tolist() == [1 + samples // HOP]
    psf = LogMel(26, **PSF_MEL)
    assert psf.output_lengths(number).tolist() == [len(psf_frames(np.ones(samples)))]


def test_no_samples_give_no_frames():
    features, lengths = LogMel()(torch.zeros(2, 0), torch.zeros(2, dtype=torch.long))
    assert features.shape == (2, 0, 64)
    assert lengths.tolist() == [0, 0]
    features, lengths = LogMel(pad_to=1)(torch.ones(2, 800), torch.tensor([0, 800]))
    assert lengths.tolist() == [0, 6]
    assert features[0].abs().sum() == 0
    assert features.isfinite().all()


@pytest.mark.parametrize("normalise", ["utterance", "feature"])
def test_normalised_features_have_mean_0_and_deviation_1_over_their_own_frames(normalise):
    lengths = torch.tensor([16000, 4000])
    audio = torch.from_numpy(np.stack([speech(16000, 1), speech(16000, 2)]).astype(np.float32))
    features, frames = LogMel(20, normalise=normalise)(audio, lengths)
    for row, count in zip(features, frames.tolist(), strict=True):
        valid = row[:count]
        axes = (0, 1) if normalise == "utterance" else (0,)
        torch.testing.assert_close(valid.mean(axes), torch.zeros_like(valid.mean(axes)), atol=1e-5, rtol=0)
        deviation = valid.std(axes, unbiased=False)
        torch.testing.assert_close(deviation, torch.ones_like(deviation), atol=1e-4, rtol=0)


def test_constant_features_stay_finite():
    for module in (LogMel(), LogMel(normalise="utterance"), LogSpectrogram(), Mfcc()):
        features, _ = module(torch.zeros(1, 8000), torch.tensor([8000]))
        assert features.isfinite().all()
        assert features.abs().max() < 1


def test_dither_is_noise_of_its_deviation_in_training_only():
    spectrum = Spectrum(peak_gain=False, pre_emphasis=0)
    module = LogSpectrogram(100, dither=0.02, normalise="none", pad_to=1, spectrum=spectrum)
    audio, lengths = torch.zeros(4, 32000), torch.full((4,), 32000)
    torch.manual_seed(0)
    features, _ = module.train()(audio, lengths)
    power = (10 ** (features[:, 1:-1, 2:-2].double() / 10)).mean()
    assert power.item() == pytest.approx(0.02**2 * (np.hanning(WINDOW) ** 2).sum(), rel=0.05)
    silence, _ = module.eval()(audio, lengths)
    assert silence.unique().tolist() == pytest.approx([-90.0])


def test_digital_silence_in_evaluation_is_near_dithered_silence_in_training():
    module = LogMel(64, dither=1e-5, normalise="none", pad_to=1, spectrum=Spectrum(peak_gain=False))
    audio, lengths = torch.zeros(1, 32000), torch.tensor([32000])
    dithered, silent = module.train()(audio, lengths)[0], module.eval()(audio, lengths)[0]
    speech_level = module(torch.from_numpy(speech(32000).astype(np.float32))[None], lengths)[0].mean()
    assert (dithered - silent).mean().abs() < 0.1 * (speech_level - silent.mean())


def test_half_precision_around_it_changes_nothing():
    audio, lengths = torch.from_numpy(speech(8000).astype(np.float32))[None], torch.tensor([8000])
    expected, _ = LogMel()(audio, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual, _ = LogMel()(audio, lengths)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected)
    module = LogMel()
    module(audio, lengths)
    torch.testing.assert_close(module.half()(audio, lengths)[0], expected)
    assert list(LogMel().state_dict()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", MODULES)
def test_the_device_does_not_matter(name):
    module = MODULES[name].eval()
    audio, lengths = torch.from_numpy(speech(8000).astype(np.float32))[None], torch.tensor([8000])
    expected, _ = module(audio, lengths)
    actual, _ = module.cuda()(audio.cuda(), lengths.cuda())
    torch.testing.assert_close(actual.cpu(), expected, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogSpectrogram(162), "num_features is 162.*161 bins"),
        (lambda: LogMel(window_ms=40, spectrum=Spectrum(n_fft=512)), "n_fft is 512.*640"),
        (lambda: LogMel(mel=MelScale(fmax_hz=9000)), "9000"),
        (lambda: LogMel(mel=MelScale(fmin_hz=500, fmax_hz=400)), "500 to 400"),
        (lambda: Mfcc(13, num_mels=12), "num_mels is 12"),
        (lambda: LogMel(pad_to=0), "pad_to.*0"),
        (lambda: LogMel(normalise="all"), "'all'"),
        (lambda: LogMel(hop_ms=0.01), "0.01 ms"),
        (lambda: LogMel(mel=MelScale("bark")), "bark"),
        (lambda: Spectrum(window="kaiser"), "kaiser"),
        (lambda: Spectrum(log_floor=0.0), "0.0"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_recipe_names_the_details_and_a_description_builds_the_same():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Features, "features")
    node = {
        "class_path": "s2s_core.audio.features.LogMel",
        "init_args": {"num_features": 40, "spectrum": {"centred": False}, "mel": {"kind": "htk"}, "dither": 1e-5},
    }
    built = parser.instantiate(parser.parse_object({"features": node})).features
    assert (built.num_features, built.hop_ms, built.sample_rate_hz) == (40, 10.0, 16000)
    assert built.spectrum == Spectrum(centred=False)
    again = parser.instantiate(parser.parse_object({"features": built.describe()})).features
    assert again.describe() == built.describe()
    signal = speech(4000)
    np.testing.assert_array_equal(compute(built, signal), compute(again, signal))
