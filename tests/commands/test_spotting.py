import numpy as np
import pytest
import torch

from s2s_commands.spotting import KeywordSpotter, Spotting
from s2s_core.errors import UserError

RATE = 100
CLASSES = ["go", "silence", "stop"]


def by_level(audio, lengths):
    """A model that hears ``go`` in positive and ``stop`` in negative windows, as sure as they are far from 0."""
    mean = torch.stack([row[:length].mean() for row, length in zip(audio, lengths.tolist(), strict=True)])
    go, stop = mean.clamp(min=0), (-mean).clamp(min=0)
    return torch.stack([go, 1 - go - stop, stop], dim=1)


def spotter(**settings):
    return KeywordSpotter(by_level, CLASSES, RATE, Spotting(**{"smooth_s": 0.0, **settings}))


def stream():
    audio = 0.01 * torch.randn(1200, generator=torch.Generator().manual_seed(0))
    audio[300:400] += 0.95
    audio[800:900] -= 0.9
    return audio


def test_words_are_heard_once_where_they_are():
    listener = spotter()
    found = [*listener.feed(stream()), *listener.finish()]
    assert [d.label for d in found] == ["go", "stop"]
    first, second = found
    assert first.start_s == pytest.approx(2.8)  # the first window of which 70 % are in the word
    assert first.end_s == pytest.approx(3.8)
    assert 0.7 <= first.probability < 0.85
    assert second.start_s == pytest.approx(7.8)


@pytest.mark.parametrize("size", [1, 7, 64, 1200])
def test_pieces_do_not_matter(size):
    whole = spotter(smooth_s=0.3, threshold=0.5)
    expected = [*whole.feed(stream()), *whole.finish()]
    listener = spotter(smooth_s=0.3, threshold=0.5)
    found = [d for piece in stream().split(size) for d in listener.feed(piece)] + listener.finish()
    assert len(expected) == 2
    assert found == expected


def test_windows_have_the_probabilities_of_the_same_stretch_alone():
    seen = []

    def remembering(audio, lengths):
        seen.append(audio.clone())
        return by_level(audio, lengths)

    listener = KeywordSpotter(remembering, CLASSES, RATE, Spotting())
    for piece in stream().split(37):
        listener.feed(piece)
    windows = torch.cat(seen)
    assert len(windows) == (1200 - 100) // 10 + 1
    assert all(torch.equal(window, stream()[10 * k : 10 * k + 100]) for k, window in enumerate(windows))


def test_smoothing_averages_the_last_windows():
    audio = stream()
    rows = by_level(audio.unfold(0, 100, 10), torch.full((111,), 100))
    smoothed = [rows[max(0, k - 2) : k + 1].mean(dim=0) for k in range(111)]
    first = next(k for k, row in enumerate(smoothed) if float(row[0]) >= 0.8)
    (found, *_) = spotter(smooth_s=0.2, threshold=0.8).feed(audio)
    assert found.start_s == pytest.approx(first * 0.1)
    assert found.probability == pytest.approx(float(smoothed[first][0]))


def test_a_long_word_is_heard_again_after_the_pause():
    audio = torch.full((600,), 0.95)
    assert len(spotter(quiet_s=1.0).feed(audio)) == 6
    assert len(spotter(quiet_s=10.0).feed(audio)) == 1


def test_soft_and_ignored_sounds_are_not_heard():
    assert spotter(floor_db=1.0).feed(stream()) == []
    assert spotter(ignored=("go", "silence")).feed(stream())[0].label == "stop"
    with pytest.raises(UserError, match="all classes are ignored"):
        spotter(ignored=tuple(CLASSES))


def test_what_is_left_over_is_completed_with_silence():
    listener = spotter(threshold=0.6)
    assert listener.feed(np.full(80, 0.95, dtype=np.float32)) == []
    (found,) = listener.finish()
    assert found.label == "go"
    assert found.probability == pytest.approx(0.95 * 0.8, abs=1e-5)
    silent = spotter()
    silent.feed(torch.zeros(130))
    assert silent.finish() == []


@pytest.mark.parametrize(
    "settings", [{"hop_s": 0}, {"hop_s": 2}, {"threshold": 0.0}, {"threshold": 1.1}, {"quiet_s": -1}]
)
def test_values_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Spotting(**settings)
