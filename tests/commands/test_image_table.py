import gzip

import pytest

from s2s_commands.image_table import classes_of, load_rows
from s2s_core.errors import UserError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_folders_and_manifests_make_one_table(tmp_path):
    for name in ("a/dog/2.PNG", "a/cat/x/1.jpg", "a/cat/notes.txt", "a/loose.webp"):
        touch(tmp_path / name)
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write('{"path": "a/dog/2.PNG", "label": "dog"}\n\n{"path": "/elsewhere/3.png"}\n')
    rows = load_rows([tmp_path / "a", tmp_path / "b.jsonl.gz"])
    assert [(row.name, row.label) for row in rows] == [
        ("loose.webp", None),
        ("cat/x/1.jpg", "cat"),
        ("dog/2.PNG", "dog"),
        ("a/dog/2.PNG", "dog"),
        ("/elsewhere/3.png", None),
    ]
    assert rows[3].path == str(tmp_path / "a/dog/2.PNG")
    assert rows[4].path == "/elsewhere/3.png"
    assert classes_of(rows) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none", None, "no such folder or manifest"),
        ("x.csv", "a,b", "expected a folder of classes or a manifest"),
        ("x.jsonl", "", "no pictures in it"),
        ("x.jsonl", "[1]\n", r"x\.jsonl:1: expected"),
        ("x.jsonl", '{"path": "a"}\n{"label": "b"}\n', r"x\.jsonl:2: expected"),
        ("x.jsonl", '{"path": 1, "label": "b"}\n', r"x\.jsonl:1: path and label must be texts"),
        ("x.jsonl.gz", "not gzip", "cannot be read"),
    ],
)
def test_mistakes_are_named(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        load_rows([tmp_path / name])
