import pytest

from s2s_core.errors import UserError
from s2s_tts.synthetic.journal import Journal

SETTINGS = {"seed": 1, "speeds": (0.8, 1.2)}


def test_results_are_there_again(tmp_path):
    Journal(tmp_path, SETTINGS).note({"place": 3, "samples": 7})
    assert Journal(tmp_path, SETTINGS).results == {3: {"place": 3, "samples": 7}}


def test_a_line_that_a_kill_has_torn_is_forgotten(tmp_path):
    journal = Journal(tmp_path, SETTINGS)
    journal.note({"place": 0, "samples": 7})
    with journal.path.open("a") as file:
        file.write('{"place": 1, "sam')
    again = Journal(tmp_path, SETTINGS)
    assert list(again.results) == [0]
    again.note({"place": 2, "samples": 8})
    assert list(Journal(tmp_path, SETTINGS).results) == [0, 2]


def test_a_kill_before_the_first_line_is_forgotten(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"se')
    Journal(tmp_path, SETTINGS).note({"place": 0})
    assert list(Journal(tmp_path, SETTINGS).results) == [0]


def test_other_settings_are_refused(tmp_path):
    Journal(tmp_path, SETTINGS)
    with pytest.raises(UserError, match="begun with seed 1, not 2"):
        Journal(tmp_path, {**SETTINGS, "seed": 2})


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        Journal(tmp_path / "file", SETTINGS)
