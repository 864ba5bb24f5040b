"""When finished sentences leave the batch."""

from hypothesis import given
from hypothesis import strategies as st

from s2s_core.decoding.leaving import LEAST_SHARE, staying


@given(st.lists(st.booleans(), max_size=40))
def test_who_goes_on_is_all_or_those_that_are_not_done(done):
    going_on = [place for place, over in enumerate(done) if not over]
    many = sum(done) >= len(done) / LEAST_SHARE
    assert staying(done) == (going_on if many else list(range(len(done))))


def test_one_of_sixteen_stays_and_two_leave():
    assert staying([True] + [False] * 15) == list(range(16))
    assert staying([True, True] + [False] * 14) == list(range(2, 16))
