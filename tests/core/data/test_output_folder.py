"""All of what `prepare` writes, or nothing."""

import json

import pytest

from s2s_core.data.output_folder import SUMMARY_FILE, all_or_nothing
from s2s_core.errors import UserError


def write(output, *names, overwrite=False):
    with all_or_nothing(output, overwrite) as scratch:
        for name in names:
            (scratch / name).write_text(name)
        (scratch / SUMMARY_FILE).write_text(json.dumps({"files": list(names)}))


def fail(output, overwrite=False):
    """Begin to write, and end in an error."""
    with all_or_nothing(output, overwrite) as scratch:
        (scratch / "train.arrow").write_text("half")
        raise RuntimeError


def test_everything_arrives_and_the_scratch_folder_goes(tmp_path):
    write(tmp_path / "data" / "an4", "train.arrow", "vocab.txt")
    assert sorted(p.name for p in (tmp_path / "data" / "an4").iterdir()) == [SUMMARY_FILE, "train.arrow", "vocab.txt"]


def test_an_error_leaves_no_folder_that_was_not_there(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(RuntimeError):
        fail(tmp_path / "data" / "deep" / "an4")
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]
    assert not list((tmp_path / "data").iterdir())


def test_an_error_leaves_what_was_there(tmp_path):
    write(tmp_path / "an4", "train.arrow")
    with pytest.raises(RuntimeError):
        fail(tmp_path / "an4", overwrite=True)
    assert (tmp_path / "an4" / "train.arrow").read_text() == "train.arrow"


def test_the_folder_that_was_there_empty_stays(tmp_path):
    with pytest.raises(RuntimeError):
        fail(tmp_path)
    assert tmp_path.is_dir()


def test_overwriting_is_asked_for_and_replaces_what_the_last_one_wrote_only(tmp_path):
    write(tmp_path, "train.arrow", "old.txt")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        write(tmp_path, "train.arrow")
    write(tmp_path, "train.arrow", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.txt", SUMMARY_FILE, "train.arrow"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "an4").write_text("")
    with pytest.raises(UserError, match="an4: not a folder"):
        write(tmp_path / "an4")
