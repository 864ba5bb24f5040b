"""What may come next, by hand."""

import pytest
import torch

from s2s_core.decoding.constraints import Constraints

END = 3


def allowed(constraints, history, banned=(), forced=None):
    logits = torch.zeros(len(history), 5)
    forced = None if forced is None else torch.tensor(forced)
    constraints.apply(logits, torch.tensor(history, dtype=torch.int64), END, banned, forced)
    return [[token for token in range(5) if row[token] == 0] for row in logits]


def test_limits_grow_with_the_source_and_leave_room_behind_a_prefix():
    constraints = Constraints(max_length_ratio=1.5, max_length_extra=2)
    assert constraints.limits(torch.tensor([0, 3, 4]), None) == [2, 7, 8]
    assert constraints.limits(torch.tensor([0, 3]), [[1, 1, 1], []]) == [4, 7]


def test_the_end_comes_late_and_banned_tokens_never():
    assert allowed(Constraints(min_length=2), [[1]], banned=[0]) == [[1, 2, 4]]
    assert allowed(Constraints(min_length=2), [[1, 1]], banned=[0]) == [[1, 2, 3, 4]]


def test_no_pair_comes_twice():
    assert allowed(Constraints(no_repeat_ngram=2), [[1, 2, 1], [1, 2, 4]]) == [[0, 1, 3, 4], [0, 1, 2, 3, 4]]


def test_a_forced_token_comes_whatever_else_holds():
    constraints = Constraints(min_length=9, no_repeat_ngram=1)
    assert allowed(constraints, [[0, 1], [0, 1]], banned=[4], forced=[4, -1]) == [[4], [2]]


def test_wrong_numbers_are_named():
    with pytest.raises(ValueError, match="min_length must not be negative, got -1"):
        Constraints(min_length=-1)
    with pytest.raises(ValueError, match="no token would be allowed"):
        Constraints(max_length_ratio=0, max_length_extra=0)
