"""Recordings grouped and their pieces batched; values that are no numbers."""

import torch

from s2s_asr.audio_input import Waveform, from_waveform
from s2s_asr.chunks import Chunk
from s2s_asr.pieces import Job, Piece, batches, groups, refuse_no_numbers
from s2s_core.audio.measures import Measures

RATE = 100


def job(seconds, **options):
    return Job(from_waveform(Waveform(torch.zeros(int(seconds * RATE)), RATE), f"{seconds}"), **options)


def piece(samples, **options):
    return Piece(job(1, **options), Chunk(torch.zeros(samples), 0, 0, None), samples)


def test_a_group_ends_with_the_recording_that_fills_it_and_the_last_one_with_what_is_left():
    jobs = [job(3), job(3), job(9), job(1)]
    assert list(groups(jobs, 5.0)) == [jobs[:2], jobs[2:3], jobs[3:]]


def test_a_group_holds_so_many_recordings(monkeypatch):
    monkeypatch.setattr("s2s_asr.pieces.RECORDINGS_AHEAD", 2)
    jobs = [job(1)] * 5
    assert [len(group) for group in groups(jobs, 1000.0)] == [2, 2, 1]


def test_a_batch_with_its_padding_fits_and_one_that_is_too_long_comes_alone():
    pieces = [piece(50), piece(40), piece(30), piece(200), piece(10)]
    assert list(batches(pieces, 100)) == [pieces[:2], pieces[2:3], pieces[3:4], pieces[4:]]


def test_measured_pieces_do_not_mix_with_others():
    ones = torch.ones(1)
    plain, measured = piece(10), piece(10, measures=Measures(ones, ones, ones))
    assert list(batches([plain, plain, measured, measured, plain], 1000)) == [[plain] * 2, [measured] * 2, [plain]]


def test_values_that_are_no_numbers_are_refused_in_real_frames_only():
    batch = [piece(10), piece(20), piece(20)]
    encodings = torch.zeros(3, 4, 2)
    encodings[0, 2:] = torch.nan  # behind its end
    encodings[1, 3, 1] = torch.nan
    refuse_no_numbers(batch, encodings, torch.tensor([2, 4, 4]))
    assert [one.job.error is not None for one in batch] == [False, True, False]
