import pytest
import torch

from s2s_core.audio.augment import RandomPlace, TimeShift


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ramp(rows=400, samples=100):
    return (1 + torch.arange(float(samples))).expand(rows, -1).clone(), torch.full((rows,), samples)


def test_shifts_keep_lengths_and_fill_with_zeros():
    audio, lengths = ramp()
    moved, same = TimeShift(10, 1000)(audio, lengths, generator())
    assert torch.equal(same, lengths)
    shifts = set()
    for row in moved:
        first = int(row.nonzero()[0])
        later = first if first else 1 - int(row[0])
        shifts.add(later)
        expected = torch.roll(audio[0], later)
        expected[: max(0, later)] = 0
        expected[100 + min(0, later) :] = 0
        assert torch.equal(row, expected)
    assert shifts == set(range(-10, 11))


def test_padding_stays_silent_and_nothing_beyond_an_end_comes_in():
    audio, _ = ramp(50)
    lengths = torch.full((50,), 60)
    moved, _ = TimeShift(30, 1000)(audio.masked_fill(torch.arange(100) >= 60, 0.0), lengths, generator())
    assert not moved[:, 60:].any()
    assert moved[:, :60].any(dim=1).all()
    noisy, _ = TimeShift(30, 1000)(audio, lengths, generator())
    assert torch.equal(noisy, moved)


def test_short_recordings_get_a_place_in_the_window():
    audio, lengths = ramp(300, 40)
    placed, long = RandomPlace(0.1, sample_rate_hz=1000)(audio, lengths, generator())
    assert placed.shape == (300, 100)
    assert set(long.tolist()) == {100}
    starts = [int(row.nonzero()[0]) for row in placed]
    assert (min(starts), max(starts)) == (0, 60)
    assert all(torch.equal(row[s : s + 40], audio[0]) for row, s in zip(placed, starts, strict=True))
    torch.testing.assert_close(placed.sum(1), audio.sum(1))


def test_some_recordings_stay_where_they_are_and_long_ones_always():
    audio, lengths = ramp(400, 40)
    placed, mixed = RandomPlace(0.1, 0.25, 1000)(audio, lengths, generator())
    assert float((mixed == 100).float().mean()) == pytest.approx(0.25, abs=0.07)
    assert torch.equal(placed[mixed == 40][:, :40], audio[mixed == 40])
    long, kept = RandomPlace(0.02, sample_rate_hz=1000)(audio, lengths, generator())
    assert torch.equal(long, audio)
    assert torch.equal(kept, lengths)


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match="got -1"):
        TimeShift(-1)
    with pytest.raises(ValueError, match="window_s must be above 0"):
        RandomPlace(0)
