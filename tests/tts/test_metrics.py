"""Measures of alignments, stops and spectra, on cases whose answer is known."""

import math

import numpy as np
import pytest
import torch

from s2s_tts.interfaces import Prediction, Spectrogram
from s2s_tts.metrics import _warped_mean, alignment_measures, mel_cepstral_distortion, stops_right


def prediction(stops, lengths):
    stops, lengths = torch.tensor(stops), torch.tensor(lengths)
    mel = torch.zeros(*stops.shape, 4)
    return Prediction(mel, Spectrogram(mel, lengths), stops, torch.zeros(*stops.shape, 2), lengths > 0)


def test_a_diagonal_is_perfect_and_its_mirror_is_not():
    eye = torch.eye(5)[None]
    measures = alignment_measures(torch.cat((eye, eye.flip(2))), torch.tensor([5, 5]), torch.tensor([5, 5]))
    assert measures["diagonality"].tolist() == pytest.approx([1.0, -1.0])
    assert measures["focus"].tolist() == [1.0, 1.0]
    assert measures["coverage"].tolist() == [1.0, 1.0]


def test_padding_does_not_count_and_gaps_do():
    alignments = torch.zeros(1, 6, 8)
    alignments[0, :4, 0] = 0.5
    alignments[0, :4, 2] = 0.5
    alignments[0, 4:] = torch.rand(2, 8)
    measures = alignment_measures(alignments, torch.tensor([4]), torch.tensor([4]))
    assert float(measures["coverage"]) == 0.5
    assert float(measures["focus"]) == 0.5


def test_stops_must_be_near_the_end():
    stops = [[-1.0] * 8 for _ in range(4)]
    stops[0][5] = 1.0  # the last of 6
    stops[1][2] = stops[1][5] = 1.0  # three early
    stops[2][6] = 1.0  # after the end
    assert stops_right(prediction(stops, [6, 6, 6, 6])).tolist() == [True, False, False, False]


def test_distortion_by_hand_and_over_time_warping():
    bands = torch.arange(20) + 0.5
    cosine = torch.cos(math.pi * 3 * bands / 20)  # cepstrum 3 alone, of size 1
    true = torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
    made = true + 0.1 * cosine
    expected = 10 * math.sqrt(2) / math.log(10) * 0.1
    straight = float(mel_cepstral_distortion(made, true))
    assert straight == pytest.approx(expected, rel=1e-4)
    assert mel_cepstral_distortion(true.repeat_interleave(2, 0), true) == pytest.approx(0.0, abs=1e-6)
    assert mel_cepstral_distortion(true + 5.0, true) == pytest.approx(0.0, abs=1e-4)  # louder only


@pytest.mark.parametrize("bands", [40, 80])
def test_distortion_is_the_rms_difference_of_spectra_in_decibels_whatever_the_number_of_bands(bands):
    true = torch.zeros(4, bands)
    ripple = 0.3 * torch.cos(3 * torch.pi * (torch.arange(bands) + 0.5) / bands)
    decibels = 20 * ripple / math.log(10)
    assert mel_cepstral_distortion(true + ripple, true) == pytest.approx(
        float(decibels.square().mean().sqrt()), rel=1e-6
    )


def warped_mean_by_cells(distance):
    """One cell after the other; of paths that cost the same, first the one over the corner, then that from above."""
    rows, columns = distance.shape
    total, count = np.full((rows + 1, columns + 1), np.inf), np.zeros((rows + 1, columns + 1))
    total[0, 0] = 0.0
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            best = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda place: total[place])
            total[i, j] = total[best] + distance[i - 1, j - 1]
            count[i, j] = count[best] + 1
    return float(total[rows, columns] / count[rows, columns])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 9), (9, 2), (20, 20), (31, 17), (17, 31)])
def test_warping_finds_the_path_that_a_walk_over_all_cells_finds(shape):
    rng = np.random.default_rng(sum(shape))
    for distance in (rng.random(shape), rng.integers(0, 3, shape).astype(float)):  # the second has many ties
        assert _warped_mean(distance) == warped_mean_by_cells(distance)
