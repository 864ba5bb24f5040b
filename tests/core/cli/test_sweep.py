"""What is checked before a sweep is registered, and what a dry run shows; on the quickstart of language models."""

import json

import pytest
import yaml

from s2s_core import trust
from s2s_core.cli.configs import packaged_configs
from s2s_core.cli.main import main
from s2s_core.cli.tasks import installed_tasks, load_object
from s2s_core.sweeps.definition import parse_sweep
from s2s_core.sweeps.local import plan

if "lm" not in installed_tasks():
    pytest.skip("s2s-lm is not installed", allow_module_level=True)

LR = "model.init_args.optimizer.init_args.lr"
GOOD = {
    "command": ["lightning", "run", "lm", "fit", "--config", "quickstart", "${args}"],
    "method": "grid",
    "metric": {"name": "val/perplexity", "goal": "minimize"},
    "parameters": {LR: {"values": [0.1, 0.2]}, "trainer.max_epochs": {"values": [1, 2]}},
}


@pytest.fixture
def sweep(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trust, "_given", {})

    def run(*arguments, **changes):
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({**GOOD, **changes}))
        status = main(["run", "lm", "sweep", "--config", "sweep.yaml", *arguments])
        found = capsys.readouterr()
        return status, found.out, found.err

    return run


def test_a_dry_run_prints_the_runs_and_starts_nothing(sweep, tmp_path):
    status, out, _ = sweep("--dry-run", "--trainer.log_every_n_steps=3")
    assert status == 0
    command = "lightning run lm fit --config quickstart --trainer.log_every_n_steps=3"
    assert out.splitlines() == [
        f"{command} --{LR}={lr} --trainer.max_epochs={epochs}" for lr in (0.1, 0.2) for epochs in (1, 2)
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.yaml"]


def test_every_run_is_allowed_what_the_user_allows(sweep, tmp_path, monkeypatch):
    (tmp_path / "mine_of_sweep.py").write_text("from lightning.pytorch.callbacks import Callback as Mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    key = "--trainer.callbacks=mine_of_sweep.Mine"
    status, out, _ = sweep("--dry-run", "--allow-class", "mine_of_sweep", key)
    assert status == 0
    command = f"lightning run lm fit --config quickstart --allow-class=mine_of_sweep {key} --{LR}="
    assert all(line.startswith(command) for line in out.splitlines())


def test_a_dry_run_of_bayes_shows_the_command(sweep):
    status, out, _ = sweep("--dry-run", method="bayes")
    assert status == 0
    assert "lightning run lm fit --config quickstart ${args}" in out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": {"model.init_args.optimiser.init_args.lr": {"value": 1}}}, "optimiser"),
        ({"parameters": {LR: {"value": "fast"}}}, f"parameters.{LR}: fast: "),
        ({"parameters": {"trainer.max_epoch": {"value": 1}}}, "trainer.max_epoch"),
        ({"parameters": {"data.init_args.batch_size": {"values": [1.5]}}}, "data.init_args.batch_size: 1.5"),
        ({"metric": {"name": "val/perplexty"}}, "metric 'val/perplexty': task 'lm' logs no such figure; did you mean"),
        ({"metric": {"name": "val/perplexity", "goal": "maximize"}}, "is better the other way: write minimize"),
        ({"command": [*GOOD["command"], "--data.validation=null"]}, "of the validation set, and the config has none"),
        (
            {"command": ["lightning", "run", "lm", "fit", "--config", "quickstrat", "${args}"]},
            "did you mean quickstart",
        ),
        ({"method": "bayes"}, "method bayes: is computed by W&B's server"),
    ],
)
def test_a_mistake_is_one_line_before_anything_starts(sweep, tmp_path, changes, message):
    status, out, err = sweep("--backend", "local", **changes)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_nobody_logged_in_is_said(sweep, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", "absent")
    status, _, err = sweep()
    assert status == 2
    assert "nobody is logged in to Weights & Biases" in err


def test_without_wandb_the_extra_is_named(sweep, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    status, _, err = sweep()
    assert status == 2
    assert "pip install 's2s-core[wandb]'" in err


def test_resuming_what_is_no_sweep_is_said(capsys, tmp_path):
    assert main(["run", "lm", "sweep", "--resume", "team/project"]) == 2
    assert "expected ENTITY/PROJECT/ID" in capsys.readouterr().err
    assert main(["run", "lm", "sweep", "--resume", str(tmp_path)]) == 2
    assert "holds no sweep" in capsys.readouterr().err


def test_resuming_says_what_it_does_not_take(capsys, tmp_path):
    for words, message in (
        (["team/project/id", "--dry-run"], "--dry-run: the runs of a registered sweep are the server's"),
        (["runs/sweeps/typo", "--backend", "local"], "--resume runs/sweeps/typo: no such folder"),
        ([str(tmp_path), "--config", "quickstart"], "--resume: the sweep has its own --config already"),
        ([str(tmp_path), "--seed", "1"], "--resume: the sweep has its own --seed already"),
        ([str(tmp_path), "--output", "x"], "--resume: the sweep has its own --output already"),
    ):
        assert main(["run", "lm", "sweep", "--resume", *words]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--dry-run", "--backend=wandb"])
def test_a_misspelt_folder_is_no_registered_sweep(capsys, tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "sweeps" / "lr").mkdir(parents=True)
    assert main(["run", "lm", "sweep", "--resume", "runs/sweeps/rl", option]) == 2
    assert "--resume runs/sweeps/rl: no such folder" in capsys.readouterr().err


def test_a_dry_run_of_a_begun_sweep_shows_its_own_runs(capsys, tmp_path):
    content = {**GOOD, "method": "random", "parameters": {LR: {"min": 0.0, "max": 1.0}}}
    begun = {"task": "lm", "sweep": content, "recipe": ["--x=1"], "count": 2, "seed": 7}
    (tmp_path / "sweep.json").write_text(json.dumps(begun))
    assert main(["run", "lm", "sweep", "--resume", str(tmp_path), "--dry-run"]) == 0
    runs = plan(parse_sweep(content, "lm"), 2, 7)
    expected = [f"lightning run lm fit --x=1 --{LR}={settings[LR]}" for settings in runs]
    assert capsys.readouterr().out.splitlines() == expected


def test_a_plan_without_its_keys_is_one_line(capsys, tmp_path):
    for text in ("{}", "[]", '{"task": "lm"}'):
        (tmp_path / "sweep.json").write_text(text)
        assert main(["run", "lm", "sweep", "--resume", str(tmp_path)]) == 2
        err = capsys.readouterr().err
        assert "holds no sweep of this machine" in err
        assert err.count("\n") == 1


def test_if_every_run_fails_so_does_the_sweep(capsys, tmp_path, monkeypatch):
    fails = tmp_path / "fails"
    fails.write_text("#!/bin/sh\nexit 1\n")
    fails.chmod(0o755)
    monkeypatch.setattr("s2s_core.sweeps.local.lightning_command", lambda: str(fails))
    begun = {"task": "lm", "sweep": GOOD, "recipe": [], "count": 2, "seed": 1}
    (tmp_path / "sweep.json").write_text(json.dumps(begun))
    assert main(["run", "lm", "sweep", "--resume", str(tmp_path), "--agents", "1"]) == 1
    assert "failed" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["--trainer.callbacks=x.--logger", "--model.note=the --logger"])
def test_the_logger_of_registered_runs_is_wandb_unless_it_is_chosen(sweep, monkeypatch, key):
    registered = []
    monkeypatch.setattr("s2s_core.sweeps.wandb.register", lambda *given: registered.append(given[2]) or "a/b/c")
    monkeypatch.setattr("s2s_core.sweeps.wandb.run_agents", lambda *_: (False, True))
    monkeypatch.setattr("s2s_core.sweeps.checks.check_against_config", lambda *_: None)
    for words in ([key], ["--logger=files"]):
        assert sweep(*words)[0] == 0
    assert registered[0][-2:] == ["--logger", "wandb"]
    assert registered[1][-1] == "--logger=files"


@pytest.mark.parametrize(
    "name", [name for name, task in installed_tasks().items() if "quickstart" in packaged_configs(task.config_home)]
)
def test_every_task_has_a_sweep_of_its_quickstart_that_fits(name, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["run", name, "sweep", "--config", "quickstart", "--dry-run", "--count", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.slow
def test_a_local_sweep_trains_and_ranks(stories, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    content = {**GOOD, "command": ["lightning", "run", "lm", "fit", *stories, "${args}"]}
    content["parameters"] = {LR: {"values": [0.000001, 0.005]}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    words = ["run", "lm", "sweep", "--config", "tiny.yaml", "--backend", "local", "--trainer.max_steps=12"]
    words.append("--trainer.val_check_interval=6")
    assert main(words) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].split() == ["run", "val/perplexity", "last", "seconds", "lr"]
    assert [line.split()[0] for line in out[1:3]] == ["2", "1"]
    folder = tmp_path / "runs" / "sweeps" / "tiny"
    with (folder / "001" / "csv" / "version_0" / "metrics.csv").open() as file:
        columns = file.readline().strip().split(",")
    model = load_object(installed_tasks()["lm"].model)
    assert {name for name in columns if name.startswith("val/")} == {f"val/{name}" for name in model.measured()}
    assert json.loads((folder / "sweep.json").read_text())["recipe"] == [*stories, *words[-2:]]
    words.append("--trainer.val_check_interval=6")
    assert main(words) == 2
    assert "already holds a sweep" in capfd.readouterr().err
    assert main(["run", "lm", "sweep", "--resume", str(folder)]) == 0
    assert "2 of 2 runs are done already" in capfd.readouterr().err
