"""Rows of a corpus are values: the same description is the same row, and checks cannot change one."""

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from s2s_core.data.prepare.rows import Rejected, Row


@pytest.mark.parametrize(
    ("one", "field"),
    [(Row("train", "u1", Path("u1.wav"), "text", "t:1"), "split"), (Rejected("t:1", "empty", "nothing"), "reason")],
)
def test_a_row_is_a_value(one, field):
    assert one == replace(one)
    other = replace(one, **{field: "another"})
    assert other != one
    with pytest.raises(FrozenInstanceError):
        setattr(one, field, "another")
