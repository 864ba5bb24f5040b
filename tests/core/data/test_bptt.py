import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s_core.data.bptt import DocumentPlan, SegmentLoader, SentencePlan, Sharing, StreamPlan, TokenStream
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.errors import UserError


def covered(plans, epoch=0):
    """How often each position is a target, over the plans of all processes."""
    places = [
        np.arange(p, p + n)
        for plan in plans
        for segment in plan.segments(epoch)
        for p, n in zip(segment.positions, segment.lengths, strict=True)
    ]
    return np.concatenate(places)


@settings(deadline=None, max_examples=60)
@given(
    total=st.integers(1, 400),
    rows=st.integers(1, 7),
    length=st.integers(1, 40),
    world=st.integers(1, 3),
    variable=st.booleans(),
    rotate=st.booleans(),
)
def test_a_stream_gives_every_token_once(total, rows, length, world, variable, rotate):
    plans = [StreamPlan(total, rows, length, variable, rotate, 5, Sharing(r, world)) for r in range(world)]
    for epoch in (0, 3):
        assert sorted(covered(plans, epoch) % total) == list(range(total))
        assert all(len(plan.segments(epoch)) == len(plan) >= 1 for plan in plans)


@pytest.mark.parametrize("variable", [False, True])
def test_rows_of_a_stream_go_on_where_they_stopped(variable):
    plan = StreamPlan(1003, 4, 20, variable, seed=1)
    segments = plan.segments(2)
    for before, after in itertools.pairwise(segments):
        assert (after.positions == before.positions + before.lengths).all()
        assert not after.begins.any()
    assert segments[0].begins.all()
    if variable:
        lengths = [int(segment.lengths.max()) for segment in segments]
        assert len(set(lengths)) > 3
        assert np.mean(lengths) == pytest.approx(20, rel=0.1)
        assert [s.lengths.tolist() for s in plan.segments(3)] != [s.lengths.tolist() for s in segments]


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    rows=st.integers(1, 4),
    length=st.integers(1, 12),
    world=st.integers(1, 3),
)
def test_documents_are_read_whole_and_in_one_row(lengths, rows, length, world):
    sizes = np.array(lengths)
    plans = [DocumentPlan(sizes, rows, length, seed=2, sharing=Sharing(r, world)) for r in range(world)]
    assert sorted(covered(plans, 1)) == list(range(sizes.sum()))
    assert all(len(plan.segments(1)) == len(plan) >= 1 for plan in plans)
    starts = set((np.cumsum(sizes) - sizes).tolist())
    for plan in plans:
        here = None
        for segment in plan.segments(1):
            real = segment.lengths > 0
            assert (np.isin(segment.positions, list(starts)) == segment.begins)[real].all()
            if here is not None:
                goes_on = real & ~segment.begins
                assert (segment.positions[goes_on] == here[goes_on]).all()
            here = segment.positions + segment.lengths


def test_documents_are_dealt_evenly_and_shuffled():
    sizes = np.random.default_rng(0).integers(20, 400, 300)
    plan = DocumentPlan(sizes, 8, 30)
    assert len(plan) <= 1.02 * np.ceil(sizes / 30).sum() / 8 + 1
    assert plan.segments(0)[0].positions.tolist() != plan.segments(1)[0].positions.tolist()
    assert plan.segments(1)[0].positions.tolist() == plan.segments(1)[0].positions.tolist()
    assert len(plan.segments(0)) == len(plan.segments(1)) == len(plan)


def test_sentences_are_batches_of_like_length():
    sizes = np.random.default_rng(0).integers(1, 60, 500)
    plan = SentencePlan(sizes, BucketBatchSampler(sizes, batch_total=300, seed=1))
    assert sorted(covered([plan])) == list(range(sizes.sum()))
    assert all(segment.begins.all() for segment in plan.segments(0))
    assert len(plan) == len(plan.segments(4))


def test_a_token_stream_reads_across_its_parts_and_around_its_end():
    parts = [np.arange(5), np.arange(5, 7), np.arange(7, 20)]
    stream = TokenStream(parts)
    assert len(stream) == 20
    assert stream.read(3, 9).tolist() == list(range(3, 12))
    assert stream.read(18, 4).tolist() == [18, 19, 0, 1]
    assert stream.read(0, 20).tolist() == list(range(20))


def make_loader(seed=0, done=None):
    plan = StreamPlan(500, 3, 7, variable=True, seed=seed)
    return SegmentLoader(plan, lambda segment: segment.positions.tolist(), done)


def test_a_loader_goes_on_where_the_trainer_stopped():
    whole = make_loader()
    whole.set_epoch(2)
    expected = list(whole)
    assert len(expected) == len(whole)
    trained = 0
    first = make_loader(done=lambda: (trained, len(expected)))
    first.set_epoch(2)
    batches = iter(first)
    for _ in range(6):
        next(batches)
    trained = 5  # of the six that were handed over, one step is not done
    state = first.state_dict()
    second = make_loader()
    second.load_state_dict(state)
    second.set_epoch(2)
    assert list(second) == expected[5:]
    trained = len(expected)
    for _ in batches:
        pass
    assert first.state_dict()["epoch"] == 3
    assert first.state_dict()["batches"] == 0


def test_another_plan_is_refused_within_an_epoch():
    loader = make_loader()
    next(iter(loader))
    with pytest.raises(UserError, match="other segments"):
        make_loader(seed=1).load_state_dict(loader.state_dict())
