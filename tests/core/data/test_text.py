import multiprocessing
import pickle

import numpy as np
import pyarrow as pa
import pytest

from s2s_core.data import text
from s2s_core.data.text import TextTable, TextTableWriter
from s2s_core.errors import UserError


def rows_of(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {"ids": rng.integers(0, 1000, rng.integers(0, 9)).tolist(), "line": f"Zeile {i} äß" if i % 5 else ""}
        for i in range(count)
    ]


def write(path, rows, metadata=None, columns=(["ids"], ["line"])):
    with TextTableWriter(path, *columns, metadata or {"made by": "test"}) as writer:
        for row in rows:
            writer.write(row)
    return path


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(text, "ROWS_PER_CHUNK", 7)


@pytest.mark.usefixtures("small_chunks")
def test_reads_what_was_written_across_chunks_and_files(tmp_path):
    first, second = rows_of(20), rows_of(7, seed=1)
    table = TextTable([write(tmp_path / "a.arrow", first), write(tmp_path / "b.arrow", second, {"made by": "other"})])
    rows = first + second
    assert len(table) == 27
    assert table.columns == ["ids", "line"]
    assert table.metadata == [{"made by": "test"}, {"made by": "other"}]
    assert table.lengths("ids").tolist() == [len(row["ids"]) for row in rows]
    for place in (0, 6, 7, 13, 19, 20, 26):
        assert table.tokens("ids", place).tolist() == rows[place]["ids"]
        assert table.tokens("ids", place).dtype == np.int32
        assert table.text("line", place) == rows[place]["line"]
    with pytest.raises(IndexError):
        table.text("line", 27)


@pytest.mark.usefixtures("small_chunks")
def test_any_arrow_reader_reads_it(tmp_path):
    rows = rows_of(20)
    path = write(tmp_path / "a.arrow", rows)
    assert pa.ipc.open_file(str(path)).read_all().to_pylist() == rows


def test_the_file_is_mapped_not_copied(tmp_path):
    path = write(tmp_path / "a.arrow", [{"ids": list(range(1000)), "line": "x"}] * 2000)
    before = pa.total_allocated_bytes()
    table = TextTable([path])
    assert int(table.tokens("ids", 1999).sum()) == 499500
    assert pa.total_allocated_bytes() - before < 100_000  # of 8 MB
    assert not table.tokens("ids", 0).flags.writeable


def first_line(table):
    return table.text("line", 1)


def test_other_processes_open_the_files_themselves(tmp_path):
    table = TextTable([write(tmp_path / "a.arrow", rows_of(3))])
    assert len(pickle.dumps(table)) < 400
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(first_line, (table,)) == "Zeile 1 äß"


def test_what_is_no_such_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.arrow: no such file"):
        TextTable([tmp_path / "none.arrow"])
    whole = write(tmp_path / "a.arrow", rows_of(50)).read_bytes()
    (tmp_path / "half.arrow").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"half\.arrow: not a whole Arrow file"):
        TextTable([tmp_path / "half.arrow"])
    write(tmp_path / "empty.arrow", [])
    with pytest.raises(UserError, match=r"empty\.arrow: holds no rows"):
        TextTable([tmp_path / "empty.arrow"])
    write(tmp_path / "other.arrow", [{"words": [1]}], columns=(["words"], []))
    with pytest.raises(UserError, match=r"other\.arrow: has columns \['words'\]"):
        TextTable([tmp_path / "a.arrow", tmp_path / "other.arrow"])
