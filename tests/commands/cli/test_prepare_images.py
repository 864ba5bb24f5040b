import gzip
import json

import pytest

from s2s_commands.cli.prepare_images import CORPORA, build_parser
from s2s_core.cli.main import main


def prepare(*arguments):
    return main(["run", "images", "prepare", *map(str, arguments)])


def test_digits_need_no_input_and_leave_manifests(tmp_path, capsys):
    pytest.importorskip("sklearn")
    assert prepare("digits", "--output", tmp_path) == 0
    assert "10 classes" in capsys.readouterr().out
    counts = {}
    for split in ("train", "validation", "test"):
        with gzip.open(tmp_path / f"{split}.jsonl.gz", "rt") as file:
            labels = [json.loads(line)["label"] for line in file]
        assert set(labels) == {str(digit) for digit in range(10)}
        counts[split] = len(labels)
    assert sum(counts.values()) == 1797
    assert prepare("digits", "--output", tmp_path) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cifar", "--output", "x"], "no corpus 'cifar'; there are cifar10"),
        (["cifar10", "--output", "x"], "prepare cifar10: --input DIR is missing"),
        (["folders", "--input", "nowhere", "--output", "x"], "--input nowhere: no such folder"),
        (["folders", "--input", ".", "--output", "x", "--jobs", "0"], "--jobs must be at least 1, got 0"),
        (["folders", "--input", ".", "--output", "x", "--holdout", "1.5"], "--holdout"),
        (["folders", "--input", ".", "--output", "x"], "no pictures"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prepare(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_help_lists_every_corpus():
    text = build_parser().format_help()
    assert all(f"  {name} " in text for name in CORPORA)
