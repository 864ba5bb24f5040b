import json

import pytest
import torch

from s2s_core.checkpoint import SECTION, section_of
from s2s_core.errors import UserError
from s2s_lm.cli import generate, ngram, score


@pytest.fixture
def checkpoint(make_task, tmp_path):
    task = make_task()
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict()}, tmp_path / "lm.ckpt")
    return str(tmp_path / "lm.ckpt")


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat\n\na zebra\n")
    return str(tmp_path / "text.txt")


def test_lines_and_their_total(checkpoint, text, capsys):
    assert score.main(["--checkpoint", checkpoint, text, "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("text") for row in rows] == ["the cat sat", "", "a zebra", None]
    assert rows[3]["log_probability"] == pytest.approx(sum(row["log_probability"] for row in rows[:3]))
    assert (rows[3]["words"], rows[3]["unknown"]) == (8, 1)
    assert score.main(["--checkpoint", checkpoint, text, "--alone"]) == 0
    out, err = capsys.readouterr()
    assert [line.split("\t")[2] for line in out.split("\n")[:3]] == ["the cat sat", "", "a zebra"]
    assert "1 of 8 tokens unknown" in err
    with pytest.raises(UserError, match=r"absent\.txt"):
        score.main(["--checkpoint", checkpoint, "absent.txt"])


def test_an_ngram_model_is_estimated_and_scores(prepared, text, tmp_path, capsys):
    arpa = str(tmp_path / "model.arpa")
    train = str(prepared.parent / "train.txt")
    assert ngram.main([train, "--order", "3", "--output", arpa, "--engine", "s2s"]) == 0
    assert "order 3: " in capsys.readouterr().err
    assert score.main(["--checkpoint", arpa, text, "--total", "--format", "json"]) == 0
    total = json.loads(capsys.readouterr().out)
    assert total["words"] == 8
    assert 2 < total["perplexity"] < 200
    with pytest.raises(UserError, match="not for n-grams"):
        score.main(["--checkpoint", arpa, text, "--cache"])


def test_text_is_generated(checkpoint, capsys):
    assert generate.main(["--checkpoint", checkpoint, "the cat", "--tokens", "6", "--seed", "2"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("the cat ")
    assert generate.main(["--checkpoint", checkpoint, "the cat", "--tokens", "6", "--seed", "2"]) == 0
    assert capsys.readouterr().out == first
    options = ["--checkpoint", checkpoint, "the", "--tokens", "3", "--format", "json"]
    assert generate.main([*options, "--samples", "2"]) == 0
    assert [json.loads(line)["prompt"] for line in capsys.readouterr().out.splitlines()] == ["the", "the"]
    assert generate.main([*options, "--beam", "2", "--one-line"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    with pytest.raises(UserError, match="--beam"):
        generate.main([*options, "--beam", "2", "--top-k", "5"])


def test_empty_text_is_named(checkpoint, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    with pytest.raises(UserError, match=r"empty\.txt: holds no text to score"):
        score.main(["--checkpoint", checkpoint, str(empty)])
    with pytest.raises(UserError, match=r"empty\.txt: holds no words"):
        ngram.main([str(empty), "--output", str(tmp_path / "model.arpa"), "--engine", "s2s"])
    empty.write_text("a <s> b\n")
    with pytest.raises(UserError, match=r"empty\.txt: a line holds <s>"):
        ngram.main([str(empty), "--output", str(tmp_path / "model.arpa"), "--engine", "s2s"])
