import itertools

import numpy as np
import pytest

from s2s_core.data.pair_sampling import PairBatchSampler


def like_wmt(count=40_000, seed=0):
    """Lengths as a news corpus has them: log-normal, the sides of a pair within some 20 % of each other."""
    rng = np.random.default_rng(seed)
    source = np.clip(rng.lognormal(np.log(24), 0.6, count), 1, 100).round()
    target = np.clip(source * rng.lognormal(0.05, 0.22, count), 1, 100).round()
    return np.stack([source, target], axis=1).astype(int)


def padded_total(lengths, batch):
    return len(batch) * lengths[batch].max(axis=0).sum()


def test_every_pair_once_within_the_budget_and_the_same_number_of_batches_in_every_epoch():
    lengths = like_wmt(3000)
    sampler = PairBatchSampler(lengths, batch_total=1000, max_batch_size=40)
    for epoch in range(4):
        plan = sampler.plan(epoch)
        assert sorted(itertools.chain(*plan)) == list(range(3000))
        assert len(plan) == len(sampler)
        assert all(padded_total(lengths, batch) <= 1000 and len(batch) <= 40 for batch in plan)


def test_a_pair_over_the_budget_is_a_batch_of_its_own():
    plan = PairBatchSampler([[5, 5], [90, 80], [4, 6], [5, 6]], batch_total=40, shuffle=False).plan(0)
    assert sorted(map(sorted, plan)) == [[0, 2, 3], [1]]


def test_batches_are_as_full_as_the_budget_allows():
    still = PairBatchSampler([[10, 10]] * 1000, batch_total=400, shuffle=False)
    assert list(map(len, still.plan(0))) == [20] * 50
    shuffled = PairBatchSampler([[10, 10]] * 1000, batch_total=400)
    assert len(shuffled) == 51  # the first cut is anywhere
    assert sorted(map(len, shuffled.plan(0)))[2:] == [20] * 49


@pytest.mark.parametrize(("batch_total", "most"), [(4096, 0.03), (8192, 0.05), (16384, 0.07)])
def test_padding_of_a_length_mix_like_wmts(batch_total, most):
    lengths = like_wmt()
    sampler = PairBatchSampler(lengths, batch_total)
    for epoch in (0, 1):
        batches = sampler.plan(epoch)
        padded = sum(padded_total(lengths, batch) for batch in batches)
        assert sampler.padding_waste(epoch) == pytest.approx(1 - lengths.sum() / padded)
        assert sampler.padding_waste(epoch) < most
    # sorting by one side only is what both lengths are for
    order = np.argsort(lengths[:, 0], kind="stable")
    by_source = [order[i : i + 80] for i in range(0, len(order), 80)]
    assert 1 - lengths.sum() / sum(padded_total(lengths, batch) for batch in by_source) > 0.12


def test_epochs_differ_in_order_and_in_company():
    sampler = PairBatchSampler(like_wmt(3000), batch_total=2000)
    plans = [[frozenset(batch) for batch in sampler.plan(epoch)] for epoch in (0, 1, 2)]
    assert [sampler.plan(0), sampler.plan(1)] == [sampler.plan(0), sampler.plan(1)]
    assert sampler.plan(0) != PairBatchSampler(like_wmt(3000), batch_total=2000, seed=1).plan(0)
    for one, other in itertools.combinations(plans, 2):
        assert len(set(one) & set(other)) < 0.05 * len(one)
        alike = [max(len(batch & mate) / len(batch) for mate in other) for batch in one]
        assert np.mean(alike) < 0.8
    still = PairBatchSampler(like_wmt(3000), batch_total=2000, shuffle=False)
    assert still.plan(0) == still.plan(1)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_share_an_epoch_evenly(world_size, shuffle):
    lengths = like_wmt(1000)
    ranks = [PairBatchSampler(lengths, 500, shuffle=shuffle, rank=r, world_size=world_size) for r in range(world_size)]
    batches = [list(sampler) for sampler in ranks]
    assert {len(own) for own in batches} == {len(ranks[0])}
    assert sorted(itertools.chain(*itertools.chain(*batches))) == list(range(1000))
    costs = np.array([[padded_total(lengths, batch) for batch in own] for own in batches])
    assert (costs.max(axis=0) - costs.min(axis=0)).mean() < 0.35 * costs.mean()  # no rank waits for another


def test_more_ranks_than_pairs():
    ranks = [PairBatchSampler([[3, 4]] * 3, 100, rank=r, world_size=5) for r in range(5)]
    assert {len(list(sampler)) for sampler in ranks} == {1}
    ranks = [PairBatchSampler([[3, 4]] * 3, 100, shuffle=False, rank=r, world_size=5) for r in range(5)]
    assert sorted(itertools.chain(*itertools.chain(*ranks))) == [0, 1, 2]


def test_batches_of_any_lengths_are_drawn_from_all():
    lengths = like_wmt(2000)
    sampler = PairBatchSampler(lengths, batch_total=10_000, max_batch_size=40, alike=False)
    plan = sampler.plan(0)
    assert sorted(itertools.chain(*plan)) == list(range(2000))
    assert all(padded_total(lengths, batch) <= 10_000 for batch in plan)
    means = [lengths[batch].mean() for batch in plan if len(batch) > 20]
    assert np.std(means) < 0.3 * np.std(lengths.mean(axis=1))
    padded = sum(padded_total(lengths, batch) for batch in plan)
    assert sampler.padding_waste() == pytest.approx(1 - lengths.sum() / padded)
    assert len(sampler.plan(1)) == len(plan)


def test_goes_on_where_it_stopped():
    sampler = PairBatchSampler(like_wmt(1000), batch_total=500)
    sampler.set_epoch(3)
    whole = list(sampler)
    again = PairBatchSampler(like_wmt(1000), batch_total=500)
    again.load_state_dict({"epoch": 3, "batches": 4})
    assert list(again) == whole[4:]


def test_fingerprints_tell_plans_apart():
    lengths = like_wmt(100)
    settings = [
        {},
        {"batch_total": 600},
        {"max_batch_size": 5},
        {"seed": 1},
        {"world_size": 2},
        {"shuffle": False},
        {"alike": False},
    ]
    made = [PairBatchSampler(lengths, **{"batch_total": 500, **changed}).fingerprint() for changed in settings]
    other = lengths.copy()
    other[50, 1] += 1
    made.append(PairBatchSampler(other, 500).fingerprint())
    assert len(set(made)) == len(made)
    assert PairBatchSampler(lengths, 500).fingerprint() == made[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": [[1, 0]]}, "positive"),
        ({"lengths": [1, 2]}, r"\(pairs, 2\), got shape \(2,\)"),
        ({"batch_total": 0}, "batch_total must be positive, got 0"),
        ({"max_batch_size": 0}, "max_batch_size must be at least 1, got 0"),
        ({"rank": 2, "world_size": 2}, r"rank must be in 0\.\.1, got 2"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        PairBatchSampler(**{"lengths": [[1, 2]], "batch_total": 10, **arguments})


def test_nothing_to_plan():
    sampler = PairBatchSampler(np.zeros((0, 2)), 100)
    assert (len(sampler), sampler.plan(0), sampler.padding_waste()) == (0, [], 0.0)
