import pytest
import torch

from s2s_core.audio.feature_stream import FeatureStream, RunningMeasures
from s2s_core.audio.features import LogMel, LogSpectrogram, Mfcc, Spectrum
from s2s_core.audio.measures import Measures, measure

CPU = torch.device("cpu")


def audio(seconds: float = 1.0, seed: int = 0) -> torch.Tensor:
    """Noise that swells and fades."""
    samples = int(16000 * seconds)
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    return 0.05 * noise * (1.2 + torch.sin(torch.arange(samples) / 1700))


def streamed(stream: FeatureStream, samples: torch.Tensor, size: int) -> torch.Tensor:
    pieces = [stream.push(piece) for piece in samples.split(size)]
    return torch.cat([*pieces, stream.push(torch.zeros(0), last=True)])


def whole(features, samples: torch.Tensor) -> torch.Tensor:
    out, lengths = features(samples[None], torch.tensor([len(samples)]))
    return out[0, : int(lengths)]


PLAIN = {"normalise": "none", "spectrum": Spectrum(peak_gain=False)}
FEATURES = [
    LogMel(20, **PLAIN),
    LogMel(20, window_ms=25.0, hop_ms=12.5, normalise="none", spectrum=Spectrum(peak_gain=False, centred=False)),
    LogSpectrogram(30, normalise="none", spectrum=Spectrum(peak_gain=False, centred=False)),
    Mfcc(13, hop_ms=20.0, **PLAIN),
]


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("size", [1, 160, 333, 5000, 16000])
def test_features_without_normalisation_are_those_of_the_whole(features, size):
    features.eval()
    samples = audio(0.1 if size == 1 else 1.0)[: 16000 - 77]
    found = streamed(FeatureStream(features, CPU), samples, size)
    torch.testing.assert_close(found, whole(features, samples), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("samples", [1, 100, 319, 320, 321, 480])
@pytest.mark.parametrize("features", FEATURES)
def test_short_recordings(features, samples):
    given = audio()[:samples]
    found = streamed(FeatureStream(features.eval(), CPU), given, 50)
    torch.testing.assert_close(found, whole(features, given), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("features", FEATURES)
def test_a_frame_comes_as_soon_as_the_stated_lookahead(features):
    stream = FeatureStream(features.eval(), CPU)
    given, heard = 0, 0
    for piece in audio(0.3).split(10):
        given += len(stream.push(piece))
        heard += len(piece)
        # frame t stands at t * hop
        expected = max(0, (heard - stream.lookahead_samples) // features.hop_samples + 1)
        assert given == expected


@pytest.mark.parametrize("normalise", ["feature", "utterance"])
def test_given_measures_make_it_exact(normalise):
    features, samples = LogMel(20, normalise=normalise).eval(), audio()
    known = measure(features, lambda: iter([(samples, slice(None))]))
    found = streamed(FeatureStream(features, CPU, known), samples, 700)
    torch.testing.assert_close(found, whole(features, samples), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("normalise", ["feature", "utterance", "none"])
def test_a_recording_within_the_warm_up_is_exact(normalise):
    features, samples = LogMel(20, normalise=normalise).eval(), audio(0.9)
    stream = FeatureStream(features, CPU, warm_up_s=1.0)
    assert not sum(len(stream.push(piece)) for piece in samples.split(800))
    found = stream.push(torch.zeros(0), last=True)
    torch.testing.assert_close(found, whole(features, samples), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("normalise", ["feature", "utterance"])
def test_running_measures_come_to_those_of_the_whole_though_the_peak_grows(normalise):
    features = LogMel(20, normalise=normalise).eval()
    samples = audio(4.0) * torch.linspace(0.02, 1.0, 64000)
    running = RunningMeasures(features)
    stream = FeatureStream(features, CPU, warm_up_s=0.2)
    stream._running = running
    streamed(stream, samples, 1600)
    found, expected = running.now(CPU), measure(features, lambda: iter([(samples, slice(None))]))
    assert found.peak == expected.peak
    torch.testing.assert_close(found.mean, expected.mean, atol=0.01, rtol=0)
    torch.testing.assert_close(found.deviation, expected.deviation, atol=0.01, rtol=0)


def test_digital_silence_before_the_first_sound():
    features = LogMel(20).eval()
    samples = torch.cat([torch.zeros(8000), audio(1.0)])
    found = streamed(FeatureStream(features, CPU, warm_up_s=0.1), samples, 400)
    assert bool(found.isfinite().all())
    assert found[-1].abs().max() < 6


def test_memory_does_not_grow():
    stream = FeatureStream(LogMel(20).eval(), CPU)
    for _ in range(20):
        stream.push(audio(0.5))
    assert len(stream._held) < 3000
    assert isinstance(stream._running.now(CPU), Measures)
