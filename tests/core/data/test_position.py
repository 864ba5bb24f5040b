import pytest

from s2s_core.data.position import position


@pytest.mark.parametrize(
    ("start", "handed_over", "trained", "expected"),
    [
        (0, (0, 0), None, (3, 0)),
        (2, (1, 9), None, (3, 2)),  # what was handed over was of another epoch
        (2, (3, 5), None, (3, 5)),
        (2, (3, 10), None, (4, 0)),
        (2, (3, 7), (4, 10), (3, 4)),  # three were fetched ahead
        (2, (3, 7), (6, 6), (4, 0)),  # the trainer ends its epochs after six
        (0, (3, 10), (9, float("inf")), (3, 9)),
    ],
)
def test_what_is_done_lies_behind(start, handed_over, trained, expected):
    assert position(3, start, handed_over, 10, None if trained is None else lambda: trained) == expected
