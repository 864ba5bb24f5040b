import math

import numpy as np
import pytest
import soundfile
import torch

from s2s_commands import CommandClassifier
from s2s_commands.spotting import Spotting
from s2s_core.data.audio_files import read_audio
from s2s_core.errors import UserError


@pytest.fixture(scope="module")
def classifier(checkpoint):
    return CommandClassifier.load(checkpoint)


def files(tones):
    return sorted((tones.parent / "audio" / "test").rglob("*.wav"))


def test_tones_are_named(classifier, tones):
    results = classifier.classify(files(tones))
    right = [result.label == path.parent.name for result, path in zip(results, files(tones), strict=True)]
    assert sum(right) >= 14
    for result in results:
        assert list(result.probabilities) == sorted(result.probabilities, key=result.probabilities.get, reverse=True)
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert result.probability == result.probabilities[result.label]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_batches_change_no_result(classifier, tones, size):
    alone = classifier.task.logits(*(x for x in one(files(tones)[3], classifier)))
    expected = alone.softmax(dim=1)[0]
    found = classifier.classify(files(tones), batch_size=size)[3]
    torch.testing.assert_close(
        torch.tensor([found.probabilities[name] for name in classifier.classes]), expected, atol=1e-5, rtol=1e-4
    )


def one(path, classifier):
    audio, _ = read_audio(path, classifier.sample_rate_hz)
    return audio[None], torch.tensor([len(audio)])


def test_arrays_and_other_rates(classifier, tones, tmp_path):
    path = files(tones)[0]
    audio, rate = soundfile.read(path, dtype="float32")
    spread = np.stack([np.interp(np.arange(2 * len(audio)) / 2, np.arange(len(audio)), audio)] * 2, axis=1)
    soundfile.write(tmp_path / "stereo.flac", spread, 2 * rate)
    results = classifier.classify([str(path), audio, tmp_path / "stereo.flac"])
    assert {result.label for result in results} == {path.parent.name}
    assert results[1].id == "#1"
    assert results[0].duration_s == pytest.approx(len(audio) / rate, abs=1e-3)


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(classifier, tones, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    results = list(classifier.classify_each([tmp_path / "bad.wav", files(tones)[0], np.zeros((2, 3, 4))]))
    assert [isinstance(result, UserError) for result in results] == [True, False, True]
    assert "bad.wav: not readable audio" in str(results[0])
    assert "#2: samples have shape (2, 3, 4)" in str(results[2])
    with pytest.raises(UserError, match=r"bad\.wav"):
        classifier.classify([tmp_path / "bad.wav"])
    with pytest.raises(TypeError, match="one path"):
        classifier.classify("a.wav")


def test_a_stream_s_windows_are_classified_as_alone(classifier):
    time = np.arange(16000) / 8000
    stream = torch.from_numpy(0.5 * np.sin(2 * math.pi * (300 + 500 * time) * time)).float()
    spotter = classifier.spotter(Spotting(window_s=0.4, hop_s=0.2))
    windows = stream.unfold(0, 3200, 1600)
    found = spotter.window_probabilities(windows)
    for window, row in zip(windows, found, strict=True):
        (alone,) = classifier.classify([window])
        expected = torch.tensor([alone.probabilities[name] for name in classifier.classes])
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=1e-4)


def test_bfloat16_is_near(classifier, checkpoint, tones):
    rough = CommandClassifier.load(checkpoint, precision="bf16").classify(files(tones))
    exact = classifier.classify(files(tones))
    assert max(abs(a.probabilities[b.label] - b.probability) for a, b in zip(rough, exact, strict=True)) < 0.1
    with pytest.raises(ValueError, match="'fp8'"):
        CommandClassifier.load(checkpoint, precision="fp8")
