from collections import Counter

import numpy as np
import pytest

from s2s_commands.balance import BalancedBatchSampler

LABELS = np.array([0] * 50 + [1] * 7 + [2] * 1)


def drawn(sampler, epoch):
    return [index for batch in sampler.plan(epoch) for index in batch]


def test_every_class_is_as_frequent_and_none_of_its_members_is_favoured():
    sampler = BalancedBatchSampler(LABELS, per_class=20, batch_size=8)
    found = drawn(sampler, 0)
    assert Counter(LABELS[found].tolist()) == {0: 20, 1: 20, 2: 20}
    times = Counter(found)
    assert all(times[i] <= 1 for i in range(50))
    assert {times[i] for i in range(50, 57)} == {2, 3}
    assert times[57] == 20
    assert len(sampler) == len(sampler.plan(0)) == 8
    assert max(map(len, sampler.plan(0))) == 8


def test_epochs_draw_others_and_repeat_themselves():
    sampler, again = (BalancedBatchSampler(LABELS, 20, 8, seed=3) for _ in range(2))
    assert sampler.plan(1) == again.plan(1)
    assert set(drawn(sampler, 0)) != set(drawn(sampler, 1))
    seen = set().union(*(drawn(sampler, epoch) for epoch in range(40)))
    assert seen == set(range(58))
    assert BalancedBatchSampler(LABELS, 20, 8, seed=4).plan(1) != sampler.plan(1)


def test_ranks_share_an_epoch():
    ranks = [BalancedBatchSampler(LABELS, 20, 8, rank=rank, world_size=2) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1])
    found = [index for rank in ranks for batch in rank for index in batch]
    assert Counter(LABELS[found].tolist()) == {0: 20, 1: 20, 2: 20}


def test_the_fingerprint_knows_the_labels():
    other = LABELS[::-1].copy()
    assert BalancedBatchSampler(LABELS, 5, 8).fingerprint() != BalancedBatchSampler(other, 5, 8).fingerprint()


def test_none_of_a_class_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        BalancedBatchSampler(LABELS, 0, 8)
