import argparse

import pytest

from s2s_asr.cli.options import not_negative, positive


@pytest.mark.parametrize("kind", [positive, not_negative])
def test_seconds_are_read(kind):
    assert kind("2.5") == 2.5


def test_no_seconds_at_all_are_seconds_where_they_may_be():
    assert not_negative("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="expected seconds above 0, got 0"):
        positive("0")


@pytest.mark.parametrize("kind", [positive, not_negative])
@pytest.mark.parametrize("text", ["-1", "inf", "nan", "soon", ""])
def test_what_is_no_stretch_of_time_is_refused(kind, text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"expected seconds, got '{text}'"):
        kind(text)
