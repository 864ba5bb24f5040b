import gzip
import json
import re

import pytest

from s2s_core.cli.main import main
from s2s_core.data.text import TextTable
from s2s_core.errors import UserError
from s2s_core.testing import shared_data
from s2s_core.text.sentences import SubwordTokenizer, WordTokenizer
from s2s_nmt.prepare.checks import CheckOptions, Pair, Rejected, check_lines, count_words
from s2s_nmt.prepare.reversal import GREEK
from s2s_nmt.prepare.sources import Source, find_sources

ENGLISH = [
    f"the {a} {b} sees a {c}" for a in ("small", "big", "old") for b in ("dog", "cat") for c in ("house", "tree")
]
GERMAN = [
    f"der {a} {b} sieht einen {c}"
    for a in ("kleine", "große", "alte")
    for b in ("Hund", "Kater")
    for c in ("Baum", "Ball")
]


def prepare(capsys, *arguments):
    status = main(["run", "nmt", "prepare", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err.strip()


def lay(folder, name, lines, ending=b"\n"):
    data = ending.join(line if isinstance(line, bytes) else line.encode() for line in lines) + ending
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def table_of(path):
    table = TextTable([path])
    return [(table.text("id", row), table.text("source", row), table.text("target", row)) for row in range(len(table))]


def test_two_files_become_tokens_that_the_vocabulary_reads_back(tmp_path, capsys):
    source, target = lay(tmp_path, "a.txt", ENGLISH), lay(tmp_path, "b.txt.gz", GERMAN)
    out = tmp_path / "out"
    options = ("--vocabulary-size", 60, "--holdout", 2)
    status, shown, _ = prepare(capsys, "parallel", "--input", source, "--target", target, "--output", out, *options)
    assert status == 0
    assert "train" in shown
    assert "validation" in shown
    train, held = table_of(out / "train.arrow"), table_of(out / "validation.arrow")
    assert len(held) == 2
    assert sorted(train + held, key=lambda row: int(row[0])) == [
        (str(i), a, b) for i, (a, b) in enumerate(zip(ENGLISH, GERMAN, strict=True), start=1)
    ]
    tokenizer = SubwordTokenizer(str(out / "vocabulary.model"))
    table = TextTable([out / "train.arrow"])
    assert table.metadata[0] == {"source": tokenizer.fingerprint(), "target": tokenizer.fingerprint()}
    for row in range(len(table)):
        assert tokenizer.decode(table.tokens("source_tokens", row).tolist()) == table.text("source", row)
        assert tokenizer.encode(table.text("target", row)) == table.tokens("target_tokens", row).tolist()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["splits"]["train"]["pairs"] == 10
    assert summary["vocabularies"] == {"vocabulary.model": 60}


def test_a_folder_of_languages_and_a_vocabulary_a_side(tmp_path, capsys):
    for split in ("train.clean", "dev2019", "test_2020"):
        lay(tmp_path, f"{split}.en", ENGLISH)
        lay(tmp_path, f"{split}.de.gz", GERMAN)
    lay(tmp_path, "other.en", ENGLISH)
    arguments = ("--source-language", "de", "--target-language", "en", "--vocabulary-size", 25, "--separate")
    status, _, error = prepare(
        capsys, "parallel", "--input", tmp_path, "--output", tmp_path / "o", *arguments, "--model-type", "unigram"
    )
    assert (status, error) == (0, "")
    assert table_of(tmp_path / "o" / "validation.arrow")[0] == ("1", GERMAN[0], ENGLISH[0])
    source, target = (SubwordTokenizer(str(tmp_path / "o" / f"{side}.model")) for side in ("source", "target"))
    assert source.decode(source.encode(GERMAN[3])) == GERMAN[3]
    assert TextTable([tmp_path / "o" / "test.arrow"]).metadata[0]["target"] == target.fingerprint()
    lay(tmp_path, "other.de", GERMAN)
    chosen = find_sources(tmp_path, None, ("en", "de"), {"test": "other", "train": "dev2019"})
    assert [(one.split, one.path.name) for one in chosen] == [("test", "other.en"), ("train", "dev2019.en")]


def test_what_is_left_out_is_named_by_file_and_line(tmp_path, capsys):
    english = [*ENGLISH, "", "bad \u200b", b"caf\xe9 noir", "same", "same", "x " * 90, "one", "surplus 1", "surplus 2"]
    german = [*GERMAN, "leer", "   ", "gut", "gleich", "gleich", "y", "w " * 20]
    lay(tmp_path, "train.en", english, b"\r\n")
    lay(tmp_path, "train.de", german)
    lay(tmp_path, "test.en", ["same", "same", "x " * 90])
    lay(tmp_path, "test.de", ["gleich", "gleich", "y"])
    languages = ("--source-language", "en", "--target-language", "de")
    out = tmp_path / "out"
    status, shown, _ = prepare(
        capsys, "parallel", "--input", tmp_path, "--output", out, *languages, "--vocabulary-size", 50, "--deduplicate"
    )
    assert status == 0
    rows = [line.split("\t") for line in (out / "rejected.tsv").read_text().splitlines()[1:]]
    assert [row[:2] for row in rows] == [
        ["train.en:13", "empty source"],
        ["train.de:14", "empty target"],
        ["train.en:15", "invalid UTF-8"],
        ["train.en:17", "repeated pair"],
        ["train.en:18", "more than 80 words"],
        ["train.en:19", "word ratio above 9"],
        ["train.de:20-21", "no target"],
    ]
    assert "byte 3 in b'caf\\xe9 noir'" in rows[2][2]
    assert "left out: 8 lines (2 no target" in shown
    assert len(table_of(out / "train.arrow")) == 13
    assert len(table_of(out / "test.arrow")) == 3  # evaluation keeps long and repeated ones


def test_tab_separated_values(tmp_path):
    path = lay(tmp_path, "train.tsv.gz", ["\ufeffa\tb", "no tab", "c\td\te"])
    found = list(check_lines(find_sources(path, None, None, {})[0], CheckOptions()))
    assert found == [
        Pair("1", "a", "b"),
        Rejected("train.tsv.gz:2", "no target", "no tab in the line"),
        Pair("3", "c", "d"),
    ]
    assert [source.split for source in find_sources(tmp_path, None, None, {})] == ["train"]


def test_only_a_line_feed_ends_a_line(tmp_path):
    source = lay(tmp_path, "a", ["one\u2028still one\x0b\x85", "two"])
    target = lay(tmp_path, "b", ["eins", "zwei"])
    assert [pair.target for pair in check_lines(Source("train", source, target), CheckOptions())] == ["eins", "zwei"]


def test_words_of_scripts_without_spaces_are_characters():
    assert count_words("two young men") == 3
    assert count_words("zwei Männer") == 2
    assert count_words("我喜歡 big 狗") == 5
    assert count_words("") == 0


def test_reversal_is_the_originals_toy_task(tmp_path, capsys):
    assert prepare(capsys, "reversal", "--output", tmp_path)[0] == 0
    rows = {split: table_of(tmp_path / f"{split}.arrow") for split in ("train", "validation", "test")}
    assert {split: len(own) for split, own in rows.items()} == {"train": 10000, "validation": 1000, "test": 2000}
    lengths = [len(source.split()) for _, source, _ in rows["train"]]
    assert (min(lengths), max(lengths)) == (5, 50)
    assert abs(sum(lengths) / len(lengths) - 27.5) < 0.5
    assert all(target.split() == source.split()[::-1] for own in rows.values() for _, source, target in own)
    assert {word for _, source, _ in rows["test"] for word in source.split()} == set(GREEK)
    assert TextTable([tmp_path / "test.arrow"]).metadata[0]["source"] == WordTokenizer(GREEK).fingerprint()


def test_the_grammars_german_is_german_and_test_sentences_are_new(tmp_path, capsys):
    assert prepare(capsys, "synthetic", "--output", tmp_path)[0] == 0
    rows = {split: table_of(tmp_path / f"{split}.arrow") for split in ("train", "validation", "test")}
    pairs = {source: target for own in rows.values() for _, source, target in own}
    assert len(pairs) == sum(map(len, rows.values())) == 12800
    text = " ".join(pairs.values())
    for wrong in ("die Hund", "einen Kind", "eine Mann", "ein großer Kind", "das kleines Kind", "der Frau"):
        assert not re.search(rf"\b{wrong}\b", text)
    assert all(target[0].isupper() and target[-1] in ".?" for target in pairs.values())
    that = next(target for source, target in pairs.items() if " that the " in source)
    assert ", dass d" in that
    assert not any(source.startswith(("A old", "a old")) for source in pairs)


def test_multi30k_as_it_lies(tmp_path, capsys):
    folder = shared_data("multi30k")
    status, shown, _ = prepare(capsys, "multi30k", "--input", folder, "--output", tmp_path, "--vocabulary-size", 2000)
    assert status == 0
    assert [len(table_of(tmp_path / f"{split}.arrow")) for split in ("train", "validation", "test")] == [
        29000,
        1014,
        1000,
    ]
    assert (tmp_path / "rejected.tsv").read_text().count("\n") == 1
    assert "29,000" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wmt",), "prepare: no corpus 'wmt'; there are parallel"),
        (("parallel",), "prepare parallel: --input PATH is missing"),
        (("parallel", "--input", "nowhere"), "nowhere: no such file or folder"),
        (("parallel", "--input", "a.en"), "a.en: give its other side with --target FILE"),
        (("parallel", "--input", "a.en", "--target", "a.fr"), "a.fr: expected a text file"),
        (("parallel", "--input", "."), ".: no file ends in .tsv or .tsv.gz; for NAME.en and NAME.de give"),
        (
            ("parallel", "--input", ".", "--source-language", "en"),
            "--source-language and --target-language go together",
        ),
        (("multi30k", "--input", "."), ".: which is for training? There are a; say --split train=NAME"),
        (("multi30k", "--input", ".", "--split", "train=b"), ".: no b.en; there are a"),
        (("multi30k", "--input", ".", "--split", "train"), "--split train: expected train=NAME"),
        (("multi30k", "--input", ".", "--split", "train=a"), "a.en: its other side a.de (or .gz) is missing"),
        (
            ("parallel", "--input", "a.en", "--target", "empty"),
            "train: none of the pairs is good; the first: empty:1-12",
        ),
        (("parallel", "--input", "a.en", "--target", "a.en"), "--vocabulary-size 32768: Vocabulary size too high"),
        (("parallel", "--input", "a.en", "--target", "a.en", "--vocabulary", "no"), "--vocabulary no: no such file"),
        (("parallel", "--input", "a.en", "--target", "a.en", "--coverage", "2"), "--coverage must be above 0"),
        (("parallel", "--input", "a.en", "--target", "a.en", "--max-words", "-1"), "--max-words must be at least 0"),
        (("parallel", "--inptu", "a.en"), "unrecognized arguments: --inptu a.en"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, "a.en", ENGLISH)
    (tmp_path / "empty").write_bytes(b"")
    status, _, error = prepare(capsys, *arguments, "--output", "out")
    assert status == 2
    assert message in error
    assert error.count("\n") == 0
    assert not list(tmp_path.glob("out/*"))


def test_what_is_there_is_replaced_only_when_asked(tmp_path, capsys):
    path = lay(tmp_path, "a.tsv", [f"{a}\t{b}" for a, b in zip(ENGLISH, GERMAN, strict=True)])
    command = ("parallel", "--input", path, "--output", tmp_path / "out", "--vocabulary-size", 60)
    assert prepare(capsys, *command)[0] == 0
    status, _, error = prepare(capsys, *command)
    assert status == 2
    assert "already; --overwrite replaces what" in error
    assert prepare(capsys, *command, "--overwrite", "--separate", "--vocabulary-size", 40)[0] == 0
    assert not (tmp_path / "out" / "vocabulary.model").exists()


def test_two_names_for_one_split_are_a_question(tmp_path):
    for name in ("train.en", "train2.en", "train.de", "train2.de"):
        lay(tmp_path, name, ["a"])
    with pytest.raises(UserError, match="train and train2 both look like train; choose: --split train=train2"):
        find_sources(tmp_path, None, ("en", "de"), {})
