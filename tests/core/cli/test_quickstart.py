"""The verbs that a quickstart runs, and that a failed one ends it."""

import pytest

from s2s_core.cli import main as cli
from s2s_core.cli.quickstart import best_of, free_folder, prepare_fit_test, show_and_run
from s2s_core.cli.tasks import TaskInfo
from s2s_core.errors import UserError

TASK = TaskInfo("toy", "s2s_toy", "a toy", "s2s_toy:Model", "s2s_toy:Data")


@pytest.fixture
def ran(monkeypatch):
    commands = []
    monkeypatch.setattr(cli, "run_task", lambda task, words, prog: commands.append(words) or 0)
    return commands


def test_prepare_fit_and_test_follow_one_another(ran, tmp_path, capsys):
    run = prepare_fit_test(TASK, tmp_path, 3, ["made", "--seed=3"], ["--x=1"], "{split}.arrow", ["--key=value"])
    assert run == tmp_path / "run1"
    data = [f"--data.{split}={tmp_path / 'data' / split}.arrow" for split in ("train", "validation", "test")]
    assert ran == [
        ["prepare", "made", f"--output={tmp_path / 'data'}", "--seed=3", "--overwrite"],
        ["fit", "--config", "quickstart", *data, "--key=value", f"--output={run}", "--seed_everything=3", "--x=1"],
        ["test", f"--ckpt_path={best_of(run)}"],
    ]
    shown = capsys.readouterr().out
    assert shown.count("\n$ lightning run toy ") == 3
    assert "trained in 0 s" in shown


def test_a_corpus_that_is_there_is_not_made_again_and_runs_do_not_meet(ran, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl.gz").touch()
    (tmp_path / "run1").mkdir()
    assert prepare_fit_test(TASK, tmp_path, 1, ["made"], []) == tmp_path / "run2" == free_folder(tmp_path)
    assert [words[0] for words in ran] == ["fit", "test"]


def test_a_verb_that_fails_ends_it(monkeypatch):
    monkeypatch.setattr(cli, "run_task", lambda task, words, prog: 2)
    with pytest.raises(UserError, match="the command above ended with status 2"):
        show_and_run(TASK, "fit")


def test_training_that_was_never_measured_has_its_last_checkpoint_only(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "last.ckpt").touch()
    assert best_of(tmp_path) == folder / "last.ckpt"
    (folder / "best.ckpt").touch()
    assert best_of(tmp_path) == folder / "best.ckpt"
