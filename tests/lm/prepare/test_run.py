import gzip
import json

import pytest

from s2s_core.data.text import TextTable
from s2s_core.errors import UserError
from s2s_lm.prepare.run import PrepareOptions, VocabularyOptions, prepare_text
from s2s_lm.prepare.sources import find_splits, group_rows


def rows(path):
    table = TextTable([path])
    return [table.tokens("tokens", i).tolist() for i in range(len(table))]


def test_wikitext_layout_counts_as_is_usual(tmp_path):
    text = " \n = Title = \n \n a b <unk> a \n"
    for split, content in (("train", text), ("valid", " a c \n"), ("test", " b \n")):
        (tmp_path / f"wiki.{split}.tokens").write_text(content)
    summary = prepare_text(find_splits(tmp_path), tmp_path / "out", PrepareOptions(VocabularyOptions()))
    # <eos> and <unk> first, then by falling count, equals in the order of the text
    entries = (tmp_path / "out" / "vocab.txt").read_text().split("\n")
    assert entries[:-1] == ["<eos>\t4", "<unk>\t1", "=\t2", "a\t2", "Title\t1", "b\t1"]
    assert rows(tmp_path / "out" / "train.arrow") == [[0], [2, 4, 2, 0], [0], [3, 5, 1, 3, 0]]
    assert rows(tmp_path / "out" / "validation.arrow") == [[3, 1, 0]]
    assert summary.splits["validation"].unknown == 1
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["vocabulary"] == 6


def test_articles_and_paragraphs_are_rows():
    lines = ["", " = One = ", " = = Part = = ", " text ", " = Two = ", " more "]
    assert list(group_rows(iter(lines), "article")) == [lines[:4], lines[4:]]
    assert list(group_rows(iter(["a", "b", "", "", "c"]), "paragraph")) == [["a", "b", ""], ["c"]]


def test_holding_out_and_bad_lines(tmp_path):
    with gzip.open(tmp_path / "text.gz", "wb") as file:
        file.write(b"\n".join([f"w{i}".encode() for i in range(18)] + [b"\xff\xfe", b"end"]) + b"\n")
    options = PrepareOptions(VocabularyOptions(size=7), hold_out=0.25)
    summary = prepare_text({"train": [tmp_path / "text.gz"]}, tmp_path / "out", options)
    assert (summary.splits["train"].rows, summary.splits["validation"].rows) == (14, 5)
    assert summary.vocabulary == 7
    assert summary.rejected == {"invalid UTF-8": 1}
    assert (tmp_path / "out" / "rejected.tsv").read_text().startswith("text.gz:19\tinvalid UTF-8")
    with pytest.raises(UserError, match="--overwrite"):
        prepare_text({"train": [tmp_path / "text.gz"]}, tmp_path / "out", options)


def test_says_what_is_missing(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        find_splits(tmp_path / "absent")
    (tmp_path / "a.train.txt").write_text("a\n")
    (tmp_path / "b.train.txt").write_text("a\n")
    with pytest.raises(UserError, match=r"a.train.txt, b.train.txt all look like train; choose with --train FILE"):
        find_splits(tmp_path)
    with pytest.raises(UserError, match="no training text"):
        prepare_text({"test": [tmp_path / "a.train.txt"]}, tmp_path / "out", PrepareOptions(VocabularyOptions()))


@pytest.mark.parametrize("unit", ["words", "characters", "subwords"])
def test_text_without_words_is_named(tmp_path, unit):
    (tmp_path / "empty.txt").write_text("\n \n")
    options = PrepareOptions(VocabularyOptions(unit=unit))
    with pytest.raises(UserError, match=r"empty\.txt: holds no words"):
        prepare_text({"train": [tmp_path / "empty.txt"]}, tmp_path / "out", options)


@pytest.mark.parametrize(
    ("options", "what"),
    [({"min_count": 3}, "--min-count 3: no words are left"), ({"size": 2}, "--vocabulary-size 2: no words are left")],
)
def test_options_that_leave_no_words_are_named(tmp_path, options, what):
    (tmp_path / "text.txt").write_text("\na b\n")
    with pytest.raises(UserError, match=what):
        prepare_text({"train": [tmp_path / "text.txt"]}, tmp_path / "out", PrepareOptions(VocabularyOptions(**options)))
