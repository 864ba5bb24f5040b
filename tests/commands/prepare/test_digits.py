"""The digits that come with scikit-learn."""

import sys
from collections import Counter

import pytest

from s2s_commands.prepare.digits import written_digits
from s2s_core.errors import UserError


def test_of_each_ten_two_are_test_and_one_is_validation():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    found = list(written_digits())
    assert Counter(split for split, *_ in found) == {"train": 1257, "test": 360, "validation": 180}
    assert {label for _, label, *_ in found} == set("0123456789")
    assert len({name for _, _, name, _ in found}) == 1797
    assert max(int(pixels.max()) for *_, pixels in found) == 255


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UserError, match="pip install scikit-learn"):
        next(written_digits())
