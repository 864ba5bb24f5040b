"""Pictures by file, folder, pattern and manifest."""

import pytest

from s2s_commands.picture_sources import PictureSource, find_pictures
from s2s_core.errors import UserError


@pytest.fixture
def home(tmp_path):
    for name in ("b.png", "a.jpg", "inside/c.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_folders_are_searched_and_sorted_and_hold_other_files(home):
    assert [source.path for source in find_pictures([str(home)])] == [
        str(home / name) for name in ("a.jpg", "b.png", "inside/c.png")
    ]


def test_a_file_is_taken_whatever_it_is_called_and_the_order_is_the_users(home):
    named = [str(home / "notes.txt"), str(home / "*.png"), str(home / "a.jpg")]
    paths = [str(home / name) for name in ("notes.txt", "b.png", "a.jpg")]
    assert find_pictures(named) == [PictureSource(path) for path in paths]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("absent.png", "no such file or folder"),
        ("*.gif", "no picture matches"),
        ("empty", "no pictures in this folder"),
    ],
)
def test_what_holds_no_picture_is_named(home, name, complaint):
    (home / "empty").mkdir()
    with pytest.raises(UserError, match=complaint):
        find_pictures([str(home / name)])
