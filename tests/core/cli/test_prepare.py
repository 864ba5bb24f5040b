"""What is refused before a corpus is read."""

from pathlib import Path

import pytest

from s2s_core.cli.prepare import check_corpus, check_count, check_share
from s2s_core.errors import UserError


def test_corpora():
    check_corpus("csv", Path("x"), ["csv", "an4"])
    check_corpus("lhotse:vctk", Path("x"), ["csv"])
    check_corpus("synthetic", None, ["synthetic"])
    with pytest.raises(UserError, match="prepare: no corpus 'cvs'; there are csv, an4"):
        check_corpus("cvs", Path("x"), ["csv", "an4"])
    with pytest.raises(UserError, match="prepare csv: --input DIR is missing"):
        check_corpus("csv", None, ["csv"])


def test_corpora_of_a_task_without_lhotse_s():
    check_corpus("digits", None, ["digits"], made_up="digits", lhotse=False)
    with pytest.raises(UserError, match="prepare: no corpus 'lhotse:vctk'; there are digits"):
        check_corpus("lhotse:vctk", Path("x"), ["digits"], lhotse=False)
    with pytest.raises(UserError, match="prepare synthetic: --input DIR is missing"):
        check_corpus("synthetic", None, ["synthetic"], made_up="digits")


def test_numbers():
    check_count("--jobs", None)
    check_count("--jobs", 1)
    check_share("--holdout", 0.0)
    with pytest.raises(UserError, match="prepare: --jobs must be at least 1, got 0"):
        check_count("--jobs", 0)
    for share in (-0.1, 1.0):
        with pytest.raises(UserError, match=f"prepare: --holdout must be at least 0 and below 1, got {share}"):
            check_share("--holdout", share)
