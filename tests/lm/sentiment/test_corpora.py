import json

import pytest

from s2s_core.data.text import TextTable
from s2s_core.errors import UserError
from s2s_core.testing import shared_data
from s2s_lm.sentiment.corpora import read_csv, read_imdb, read_sst2
from s2s_lm.sentiment.prepare import TextOptions, prepare_texts


def test_sst2_as_it_is_shared_and_as_glue_has_it(tmp_path):
    found = read_sst2(shared_data("SST2"))
    assert {split: len(rows) for split, rows in found.items()} == {"train": 6920, "validation": 872, "test": 1821}
    assert not any(row.reason for rows in found.values() for row in rows)
    assert (found["test"][0].text, found["test"][0].label) == (
        "no movement , no yuks , not much of anything",
        "negative",
    )
    (tmp_path / "train.tsv").write_text("sentence\tlabel\ngood \t1\nbad\t0\nodd\t7\n\t1\n")
    (tmp_path / "test.tsv").write_text("index\tsentence\n0\tunknown\n")
    glue = read_sst2(tmp_path)
    assert [(row.text, row.label) for row in glue["train"][:2]] == [("good", "positive"), ("bad", "negative")]
    assert [row.reason for row in glue["train"][2:]] == ["not sentence<TAB>0 or 1", "empty text"]
    assert glue["test"] == []


@pytest.mark.parametrize("ratings", [False, True])
def test_imdb_layout(tmp_path, ratings):
    for split in ("train", "test"):
        for part, rating in (("pos", 9), ("neg", 2)):
            folder = tmp_path / split / part
            folder.mkdir(parents=True)
            for i in range(20):
                (folder / f"{i}_{rating}.txt").write_text(f"Review {i}.<br />It's {part}!")
    found = read_imdb(tmp_path, ratings)
    assert {split: len(rows) for split, rows in found.items()} == {"train": 36, "validation": 4, "test": 40}
    assert {row.label for row in found["train"]} == ({"2", "9"} if ratings else {"negative", "positive"})
    summary = prepare_texts(found, tmp_path / "out", TextOptions(split_punctuation=True))
    assert summary.labels == (["2", "9"] if ratings else ["negative", "positive"])
    table = TextTable([tmp_path / "out" / "train.arrow"])
    assert json.loads(table.metadata[0]["labels"]) == summary.labels
    entries = [line.split("\t")[0] for line in (tmp_path / "out" / "vocab.txt").read_text().splitlines()]
    assert {"review", ".", "it's", "pos", "neg", "!"} < set(entries)
    assert "br" not in entries


def test_tables(tmp_path):
    (tmp_path / "all.csv").write_text('text,label\n"a, b",x\nc,y\n,x\nd,\ne,x\nf,y\n')
    found = read_csv(tmp_path / "all.csv", "text", "label", 0.5)
    assert sum(map(len, found.values())) == 6
    summary = prepare_texts(found, tmp_path / "out", TextOptions())
    assert summary.rejected == {"empty text": 1, "no label": 1}
    with pytest.raises(UserError, match="no column 'review'; there are text, label"):
        read_csv(tmp_path / "all.csv", "review", "label", 0.0)
