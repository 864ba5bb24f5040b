"""Splits by name."""

from collections import Counter

import pytest

from s2s_commands.prepare.clips import held_out, share_of


def test_a_share_depends_on_the_name_alone():
    # the first 13 hexadecimal digits of the SHA-1 of "abc": a9993e364706816a...
    assert share_of("abc") == 0xA9993E3647068 / 16**13


def test_splits_have_the_shares_that_are_asked_for():
    counts = Counter(held_out(f"speaker{number}", 0.1, 0.2) for number in range(5000))
    assert counts["validation"] / 5000 == pytest.approx(0.1, abs=0.02)
    assert counts["test"] / 5000 == pytest.approx(0.2, abs=0.02)


def test_more_for_validation_takes_nobody_from_it():
    names = [f"speaker{number}" for number in range(500)]
    few, many = ({name for name in names if held_out(name, share) == "validation"} for share in (0.1, 0.3))
    assert few < many
