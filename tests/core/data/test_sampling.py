import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s_core.data.sampling import BucketBatchSampler


def librispeech_like(count: int = 28539) -> np.ndarray:
    """Durations like those of train-clean-100: most near 14.5 s, a quarter spread from 2 to 14 s."""
    rng = np.random.default_rng(0)
    most = count * 3 // 4
    seconds = np.concatenate([rng.normal(14.5, 1.5, most), rng.uniform(2, 14, count - most)])
    return np.round(np.clip(seconds, 1.4, 17.5), 2)


def an4_like(count: int = 948) -> np.ndarray:
    """Durations like those of AN4: a broad hump between 0.7 and 6.5 s in steps of 0.1 s."""
    return np.round(np.clip(np.random.default_rng(0).gamma(4.5, 0.62, count), 0.7, 6.5), 1)


def waste_of(plan: list[list[int]], lengths: np.ndarray) -> float:
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in plan)
    return 1 - sum(lengths[i] for batch in plan for i in batch) / padded


@pytest.mark.parametrize(
    ("lengths", "budget", "limit"),
    [(librispeech_like(), 480.0, 0.032), (librispeech_like(), 120.0, 0.032), (an4_like(), 60.0, 0.05)],
)
def test_padding_waste_is_small_and_truly_told(lengths, budget, limit):
    sampler = BucketBatchSampler(lengths, budget)
    for epoch in (0, 3):
        waste = waste_of(sampler.plan(epoch), lengths)
        assert waste < limit
        assert sampler.padding_waste(epoch) == pytest.approx(waste, rel=1e-9)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(lengths))
    assert waste_of([list(order[i : i + 32]) for i in range(0, len(order), 32)], lengths) > 3 * waste


def test_batches_are_full():
    lengths = librispeech_like()
    plan = BucketBatchSampler(lengths, 480.0).plan(0)
    padded = np.array([max(lengths[i] for i in batch) * len(batch) for batch in plan])
    assert padded.max() <= 480.0
    assert padded.mean() > 0.95 * 480


@given(
    lengths=st.lists(st.floats(0.1, 30), min_size=1, max_size=80),
    budget=st.floats(1, 100),
    most=st.none() | st.integers(1, 9),
    world_size=st.integers(1, 5),
    shuffle=st.booleans(),
    epoch=st.integers(0, 5),
)
@settings(max_examples=150, deadline=None)
def test_ranks_share_an_epoch(lengths, budget, most, world_size, shuffle, epoch):
    samplers = [
        BucketBatchSampler(lengths, budget, most, shuffle=shuffle, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    shares = [list(sampler) for sampler in samplers]
    assert [len(share) for share in shares] == [len(sampler) for sampler in samplers]
    batches = [batch for share in shares for batch in share]
    seen = [i for batch in batches for i in batch]
    singles = all(len(batch) == 1 for batch in batches)
    if singles and shuffle:
        assert set(seen) == set(range(len(lengths)))
        assert len(seen) - len(lengths) < world_size
    else:
        assert sorted(seen) == list(range(len(lengths)))
    if shuffle or not singles:
        assert len({len(share) for share in shares}) == 1
    for batch in batches:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget * (1 + 1e-9)
        assert most is None or len(batch) <= most


def test_neighbouring_ranks_get_batches_of_like_length():
    lengths = librispeech_like(5000)
    plan = BucketBatchSampler(lengths, 240.0, world_size=4).plan(0)
    longest = np.array([max(lengths[i] for i in batch) for batch in plan]).reshape(-1, 4)
    assert np.median(longest.max(axis=1) / longest.min(axis=1)) < 1.03
    assert longest[:, 0].std() > 1  # while the steps differ


def test_epochs_differ_but_repeat_themselves():
    lengths = an4_like()
    one, two = BucketBatchSampler(lengths, 60.0, seed=1), BucketBatchSampler(lengths, 60.0, seed=1)
    assert one.plan(4) == two.plan(4)
    assert one.plan(4) != one.plan(5)
    assert one.plan(4) != BucketBatchSampler(lengths, 60.0, seed=2).plan(4)
    assert len(one.plan(4)) == len(one.plan(5)) == len(one)
    together = [{frozenset(batch) for batch in one.plan(epoch)} for epoch in (0, 1)]
    assert len(together[0] & together[1]) < len(one) / 10
    positions = [[max(lengths[i] for i in batch) for batch in one.plan(epoch)] for epoch in (0, 1)]
    assert abs(np.corrcoef(positions)[0, 1]) < 0.5


def test_evaluation_goes_from_long_to_short():
    lengths = an4_like(50)
    sampler = BucketBatchSampler(lengths, 20.0, shuffle=False)
    flat = [lengths[i] for batch in sampler for i in batch]
    assert flat == sorted(lengths, reverse=True)
    assert sampler.plan(0) == sampler.plan(7)


def test_position_is_kept_and_belongs_to_its_epoch():
    sampler = BucketBatchSampler(an4_like(), 60.0)
    sampler.set_epoch(3)
    whole = list(sampler)
    other = BucketBatchSampler(an4_like(), 60.0)
    other.load_state_dict({"epoch": 3, "batches": 5})
    assert len(other) == len(whole)
    assert list(other) == whole[5:]
    other.set_epoch(3)
    assert list(other) == whole[5:]
    assert other.state_dict() == {"epoch": 3, "batches": 5}
    other.set_epoch(4)
    assert len(list(other)) == len(other)
    other.load_state_dict({"epoch": 3, "batches": len(whole)})
    assert other.state_dict() == {"epoch": 4, "batches": 0}


@pytest.mark.parametrize(("budget", "most"), [(480.0, None), (480.0, 1)])
def test_a_hundred_thousand_are_planned_at_once(budget, most):
    lengths = np.tile(librispeech_like(), 4)[:100_000]
    took = []
    for _ in range(3):
        start = time.process_time()
        BucketBatchSampler(lengths, budget, most).plan(1)
        took.append(time.process_time() - start)
    assert min(took) < 0.5


def test_no_sequences_no_batches():
    sampler = BucketBatchSampler([], 10.0)
    assert len(sampler) == 0
    assert list(sampler) == []
    assert sampler.padding_waste() == 0.0


@pytest.mark.parametrize(
    ("lengths", "arguments", "message"),
    [
        ([1.0, 0.0], {}, "positive"),
        ([1.0, float("nan")], {}, "positive"),
        ([[1.0]], {}, "one axis"),
        ([1.0], {"batch_total": 0}, "batch_total must be positive, got 0"),
        ([1.0], {"max_batch_size": 0}, "max_batch_size must be at least 1, got 0"),
        ([1.0], {"min_bucket_batches": 0}, "min_bucket_batches must be at least 1, got 0"),
        ([1.0], {"rank": 2, "world_size": 2}, r"rank must be in 0\.\.1, got 2"),
    ],
)
def test_wrong_arguments(lengths, arguments, message):
    with pytest.raises(ValueError, match=message):
        BucketBatchSampler(lengths, **{"batch_total": 10.0, **arguments})
