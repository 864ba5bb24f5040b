"""Tables of recordings, good and bad."""

from pathlib import Path

import pytest

from s2s_core.data.prepare.rows import Rejected
from s2s_core.data.prepare.tables import read_common_voice, read_csv_corpus, read_table
from s2s_core.errors import UserError


def table(folder, text, name="train.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_rows_say_where_they_stand(tmp_path):
    path = table(tmp_path, b'\xef\xbb\xbfname, text\na,"one, two"\n\nb,three\n')
    assert list(read_table(path, ("name", "text"))) == [
        {"name": "a", "text": "one, two", "": "train.csv:2"},
        {"name": "b", "text": "three", "": "train.csv:4"},
    ]


def test_quotation_marks_mean_nothing_between_tabs(tmp_path):
    path = table(tmp_path, 'name\ttext\na\t"one\n', "train.tsv")
    assert [row["text"] for row in read_table(path, ("name",))] == ['"one']


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b"a,\xff\n", "invalid UTF-8", "bytes that are not UTF-8"),
        (b"a\n", "malformed row", "1 columns, the header has 2"),
        (b" ,text\n", "malformed row", "name is empty"),
        (b'a,"two\nlines"\n', "malformed row", "a field runs over several lines: an unbalanced quotation mark?"),
    ],
)
def test_a_bad_row_costs_one_row(tmp_path, line, reason, detail):
    bad, good = read_table(table(tmp_path, b"name,text\n" + line + b"b,fine\n"), ("name", "text"))
    lines = "2-3" if line.count(b"\n") == 2 else "2"
    assert bad == Rejected(f"train.csv:{lines}", reason, detail)
    assert good["text"] == "fine"


@pytest.mark.parametrize(
    ("text", "found"), [("", "nothing: the file is empty"), ("name,words\n", "name, words"), ("text\n", "text")]
)
def test_a_missing_column_is_named(tmp_path, text, found):
    with pytest.raises(UserError, match=rf"train\.csv: no column .*(text|name).* in the first row \(found {found}\)"):
        list(read_table(table(tmp_path, text), ("name", "text")))


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.csv: cannot be read \(No such file or directory\)"):
        list(read_table(tmp_path / "absent.csv", ("name",)))


def test_a_csv_corpus(tmp_path):
    table(tmp_path, "wav_filename,wav_filesize,transcript\na/1.wav,9,one\nb/1.wav,9,two\n", "dev.csv")
    table(tmp_path, "wav_filename\ttranscript\tid\tspeaker_id\nc/2.wav\tthree\tmine\tx\n", "train.tsv")
    table(tmp_path, "where\treason\n", "rejected.tsv")
    rows = list(read_csv_corpus(tmp_path, Path("/audio")))
    assert [(row.split, row.id, str(row.audio), row.text, row.speaker) for row in rows] == [
        ("validation", "a/1", "/audio/a/1.wav", "one", None),
        ("validation", "b/1", "/audio/b/1.wav", "two", None),
        ("train", "mine", "/audio/c/2.wav", "three", "x"),
    ]
    assert next(read_csv_corpus(tmp_path / "train.tsv")).audio == tmp_path / "c/2.wav"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no \.csv or \.tsv file in it"):
        list(read_csv_corpus(tmp_path / "empty"))


def test_common_voice(tmp_path):
    with pytest.raises(UserError, match=r"none of train\.tsv, dev\.tsv, test\.tsv in it"):
        list(read_common_voice(tmp_path))
    table(tmp_path, "client_id\tpath\tsentence\nx\tone.mp3\tHello.\ny\ttwo\tBye.\nz\n", "dev.tsv")
    first, second, bad = read_common_voice(tmp_path)
    assert (first.split, first.id, first.speaker, first.text) == ("validation", "one", "x", "Hello.")
    assert (first.audio, second.audio) == (tmp_path / "clips/one.mp3", tmp_path / "clips/two.mp3")
    assert bad == Rejected("dev.tsv:4", "malformed row", "1 columns, the header has 3")
