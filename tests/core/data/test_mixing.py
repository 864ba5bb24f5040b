import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s_core.data.mixing import MixedBatchSampler, Source, shares


def lengths_of(count: int, seed: int = 0) -> np.ndarray:
    return np.round(np.random.default_rng(seed).uniform(1, 15, count), 2)


def mixed(sizes, draws, budget=60.0, lengths=None, **arguments) -> MixedBatchSampler:
    edges = np.cumsum([0, *sizes])
    sources = [Source(np.arange(a, b), n) for a, b, n in zip(edges, edges[1:], draws, strict=False)]
    return MixedBatchSampler(lengths_of(sum(sizes)) if lengths is None else lengths, sources, budget, **arguments)


def drawn(sampler: MixedBatchSampler, epoch: int) -> np.ndarray:
    """How often each item comes up in an epoch."""
    return np.bincount(np.concatenate(sampler.plan(epoch)), minlength=len(sampler.lengths))


@pytest.mark.parametrize(
    ("sizes", "weights", "epoch_size", "expected"),
    [
        ([100, 30], [1, 1], None, [100, 100]),  # one pass over the first, the second comes round
        ([100, 300], [2, 1], None, [100, 50]),
        ([100, 300], [0, 1], None, [0, 300]),  # the first with a weight sets the length
        ([100, 300, 7], [0.5, 0.3, 0.2], None, [100, 60, 40]),
        ([100, 300], [1, 1], 60, [30, 30]),
        ([100, 300], [1, 2], 100, [33, 67]),
        ([100, 300, 50], [1, 1, 1], 100, [34, 33, 33]),
        ([3, 3], [0.1, 0.2], None, [3, 6]),
    ],
)
def test_shares(sizes, weights, epoch_size, expected):
    assert shares(sizes, weights, epoch_size) == expected


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "1 weights for 2 sources"),
        ([0, 0], "not all 0"),
        ([1, -1], "at least 0"),
        ([1, float("nan")], "finite"),
        ([1, 1e-6], "source 1 has weight 1e-06, 40 items and 0 in an epoch"),
    ],
)
def test_shares_that_make_no_sense(weights, message):
    with pytest.raises(ValueError, match=message):
        shares([50, 40], weights)
    with pytest.raises(ValueError, match="source 1 has weight 1, 0 items"):
        shares([50, 0], [1, 1])


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    data=st.data(),
    budget=st.floats(15, 100),
    world_size=st.integers(1, 4),
    epoch=st.integers(0, 50),
)
@settings(max_examples=150, deadline=None)
def test_every_epoch_has_the_shares_within_the_budget(sizes, data, budget, world_size, epoch):
    draws = [data.draw(st.integers(0, 3 * size)) for size in sizes]
    draws[0] = max(1, draws[0])
    ranks = [mixed(sizes, draws, budget, rank=rank, world_size=world_size) for rank in range(world_size)]
    plan = ranks[0].plan(epoch)
    assert all(max(ranks[0].lengths[batch]) * len(batch) <= budget + 1e-6 or len(batch) == 1 for batch in plan)
    assert len(plan) == ranks[0].batches_per_epoch
    counts = drawn(ranks[0], epoch)
    if ranks[0].planned_batches % world_size == 0:
        edges = np.cumsum([0, *sizes])
        for (a, b), n, size in zip(np.stack([edges[:-1], edges[1:]], 1), draws, sizes, strict=True):
            assert counts[a:b].sum() == n
            assert set(counts[a:b]) <= {n // size, n // size + 1}
    own = []
    for sampler in ranks:
        sampler.set_epoch(epoch)
        own.append(list(sampler))
        assert len(own[-1]) == len(sampler)
    assert sorted(batch for each in own for batch in each) == sorted(plan)


@pytest.mark.parametrize("part", [7, 33, 50, 91])
def test_all_items_come_up_equally_often_in_the_long_run_and_soon(part):
    sampler = mixed([100, 20], [part, 20], seed=3)
    epochs = [drawn(sampler, epoch)[:100] for epoch in range(400)]
    expected = 400 * part / 100
    assert np.abs(np.sum(epochs, axis=0) - expected).max() <= max(2.0, 0.03 * expected)
    # after three times the epochs that it takes to draw as many as there are
    assert np.sum(epochs[: -(-300 // part)], axis=0).min() >= 1


def test_a_part_is_drawn_evenly_over_the_lengths():
    lengths = lengths_of(1000)
    sampler = mixed([1000], [100], lengths=lengths)
    for epoch in range(5):
        chosen = lengths[drawn(sampler, epoch) > 0]
        quantiles = np.linspace(0, 1, 11)
        np.testing.assert_allclose(np.quantile(chosen, quantiles), np.quantile(lengths, quantiles), atol=0.25)


def test_padding_stays_small_and_batches_hold_both_sources():
    sampler = mixed([3000, 2000], [3000, 1000], budget=120.0)
    for epoch in (0, 5):
        assert sampler.padding_waste(epoch) < 0.05
        real = np.array([np.mean(np.array(batch) < 3000) for batch in sampler.plan(epoch)])
        assert 0.7 < real.mean() < 0.8
        assert ((real > 0) & (real < 1)).mean() > 0.8


def test_the_plan_is_a_function_of_seed_and_epoch():
    def plan(seed: int, epoch: int) -> list[list[int]]:
        return mixed([100, 40], [70, 70], seed=seed).plan(epoch)

    assert plan(0, 3) == plan(0, 3)
    assert plan(0, 3) != plan(0, 4)
    assert plan(0, 3) != plan(1, 3)
    whole = mixed([100, 40], [70, 70])
    whole.set_epoch(2)
    batches = list(whole)
    resumed = mixed([100, 40], [70, 70])
    resumed.load_state_dict({"epoch": 2, "batches": 3})
    assert list(resumed) == batches[3:]


def test_the_fingerprint_tells_mixtures_apart():
    same = [mixed([100, 40], [70, 70]).fingerprint() for _ in range(2)]
    others = [
        mixed([100, 40], [70, 69]),
        mixed([40, 100], [70, 70]),
        mixed([100, 40], [70, 70], seed=1),
        mixed([100, 40], [70, 70], lengths=lengths_of(140, 1)),
    ]
    assert same[0] == same[1]
    assert len({same[0], *(other.fingerprint() for other in others)}) == 5


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="none has draws"):
        mixed([3], [0])
    with pytest.raises(ValueError, match="source 1: 2 draws from 0 items"):
        mixed([3, 0], [3, 2])
