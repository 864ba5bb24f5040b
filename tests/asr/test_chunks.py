import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s_asr.chunks import plan_chunks, samples_per_frame
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_core.audio.features import LogMel, LogSpectrogram, Spectrum

RATE, FRAME = 1000, 20


@settings(deadline=None)
@given(
    st.integers(0, 9000),
    st.integers(1, 2000),
    st.floats(0.1, 3.0),
    st.floats(0.0, 1.0),
)
def test_every_frame_counts_once_and_chunks_lie_in_place(samples, block, chunk_s, overlap_share):
    overlap_s = overlap_share * (chunk_s - 0.05) * 0.9
    plan = plan_chunks(FRAME, RATE, chunk_s, overlap_s)
    audio = torch.arange(samples)
    counted = []
    chunks = list(plan.cut(iter(audio.float().split(block))))
    for chunk in chunks:
        start = chunk.first_frame * FRAME
        assert torch.equal(chunk.audio, audio[start : start + len(chunk.audio)].float())
        assert len(chunk.audio) <= plan.window * FRAME
        frames = 1 + len(chunk.audio) // FRAME
        counted += [chunk.first_frame + i for i in range(frames)[chunk.keep_from : chunk.keep_to]]
    assert counted == list(range(1 + samples // FRAME))
    assert [chunk.keep_to is None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_the_overlap_is_shared_by_halves():
    plan = plan_chunks(FRAME, RATE, 1.0, 0.2)
    chunks = list(plan.cut(iter([torch.zeros(2500)])))
    assert [(c.first_frame, c.keep_from, c.keep_to) for c in chunks] == [(0, 0, 45), (40, 5, 45), (80, 5, None)]


def test_none_leaves_recordings_whole():
    (chunk,) = plan_chunks(FRAME, RATE, None, 4.0).cut(iter([torch.zeros(9000)] * 9))
    assert len(chunk.audio) == 81_000
    assert chunk.keep_to is None


@pytest.mark.parametrize(("chunk_s", "overlap_s"), [(1.0, 1.0), (1.0, -0.1), (0.0, 0.0)])
def test_chunks_without_a_frame_of_their_own_are_refused(chunk_s, overlap_s):
    with pytest.raises(ValueError, match="chunk_s must exceed overlap_s"):
        plan_chunks(FRAME, RATE, chunk_s, overlap_s)


@pytest.mark.parametrize(
    ("features", "strides", "expected"),
    [
        (LogMel(hop_ms=10.0), (2,), 320),
        (LogMel(hop_ms=12.5, sample_rate_hz=22_050), (1, 3), 276 * 3),
        (LogSpectrogram(96, hop_ms=8.0, sample_rate_hz=16_000, spectrum=Spectrum(centred=False)), (2, 2, 2), 1024),
    ],
)
def test_samples_per_frame_of_real_front_ends(features, strides, expected):
    blocks = [TdnnBlock(4, 3, stride=stride) for stride in strides]
    encoder = TdnnEncoder(features.num_features, blocks)
    front_end = lambda n: encoder.output_lengths(features.output_lengths(n))  # noqa: E731
    assert samples_per_frame(front_end, features.sample_rate_hz) == expected


def test_irregular_frames_are_refused():
    with pytest.raises(ValueError, match="regular"):
        samples_per_frame(lambda n: (n / 333.3).long(), 16_000)
