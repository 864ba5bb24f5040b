"""Hostile files: each would run code, or write where it should not, if it were loaded carelessly."""

import os
import pickle
import subprocess
import sys

import pytest
import torch
import yaml

from s2s_core.checkpoint import AtomicCheckpointIO, build_task, read_checkpoint
from s2s_core.cli.main import main
from s2s_core.errors import UserError
from s2s_core.trust import is_trusted, take_allowed

EVIL = "import pathlib\npathlib.Path(__file__).with_name('pwned').touch()\n\nclass Encoder: ...\n\ndef make(*a): ...\n"


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module on the path whose import leaves a mark; returns where the mark would be."""
    (tmp_path / "evil_module.py").write_text(EVIL)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "pwned"
    sys.modules.pop("evil_module", None)


class Runs:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize(
    "keys",
    [
        {"model": {"class_path": "evil_module.Encoder"}},
        {"model": "evil_module.Encoder"},
        {"model": {"init_args": {"encoder": {"class_path": "evil_module.Encoder"}}}},
        {"model": {"init_args": {"encoder": "evil_module.Encoder"}}},
        {"model": {"init_args": {"optimizer": "evil_module.make"}}},
        {"data": {"class_path": "evil_module.Encoder"}},
        {"trainer": {"callbacks": [{"class_path": "evil_module.Encoder"}]}},
        {"trainer": {"logger": {"class_path": "evil_module.Encoder"}}},
        {"trainer": {"callbacks": [{"class_path": "os.system", "init_args": {"command": "touch pwned"}}]}},
        {"trainer": {"strategy": {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "pwned"]}}}},
        {"model": {"init_args": {"optimizer": {"class_path": "torch.hub.load", "init_args": {}}}}},
    ],
    ids=lambda keys: yaml.safe_dump(keys, default_flow_style=True).strip()[:60],
)
def test_a_config_that_names_a_foreign_class_is_refused_before_it_is_imported(evil, tmp_path, capsys, keys):
    pytest.importorskip("s2s_lm", reason="s2s-lm is not installed")
    (tmp_path / "hostile.yaml").write_text(yaml.safe_dump(keys))
    words = ["run", "lm", "fit", "--config", "quickstart", "--config", "hostile.yaml", "--output", "run"]
    assert main([*words, "--print_config"]) == 2
    err = capsys.readouterr().err
    assert "outside s2s, torch and Lightning; if you trust it, --allow-class" in err
    assert err.count("\n") == 1
    assert "evil_module" not in sys.modules
    assert not evil.exists()


def test_yaml_tags_that_build_objects_are_refused(evil, tmp_path, capsys):
    (tmp_path / "hostile.yaml").write_text("model: !!python/object/apply:os.system ['touch pwned']\n")
    for verb in ("fit", "sweep"):
        assert main(["run", "asr", verb, "--config", "hostile.yaml"]) == 2
        assert "not readable as YAML" in capsys.readouterr().err
    assert not evil.exists()


def test_a_pickle_is_no_checkpoint(evil, tmp_path):
    hostile = tmp_path / "hostile.ckpt"
    for write in (lambda: hostile.write_bytes(pickle.dumps(Runs())), lambda: torch.save({"s2s": Runs()}, hostile)):
        write()
        for read in (read_checkpoint, AtomicCheckpointIO().load_checkpoint):
            with pytest.raises(UserError, match="truncated or not a checkpoint"):
                read(hostile)
    assert not evil.exists()


def test_a_checkpoint_that_names_a_foreign_class_is_refused(evil):
    for path in ("evil_module.Encoder", "os.system", "s2s_evil.Encoder"):
        with pytest.raises(UserError, match="outside s2s, torch and Lightning"):
            build_task({"class_path": path, "init_args": {}}, "checkpoint")
    for spec in ({"encoder": "evil_module.Encoder"}, {"optimizer": "evil_module.make"}):
        with pytest.raises(UserError, match="cannot be rebuilt"):
            build_task({"class_path": "s2s_lm.task.LanguageModeling", "init_args": spec}, "checkpoint")
    assert not evil.exists()


def test_what_the_user_allows_is_imported(evil, tmp_path):
    pytest.importorskip("s2s_lm", reason="s2s-lm is not installed")
    (tmp_path / "mine.py").write_text(
        "from lightning.pytorch.callbacks import Callback\n\nclass Mine(Callback):\n    pass\n"
    )
    (tmp_path / "mine.yaml").write_text("trainer: {callbacks: [{class_path: mine.Mine}]}\n")
    words = ["run", "lm", "fit", "--config", "quickstart", "--config", "mine.yaml", "--print_config"]
    code = f"import sys; from s2s_core.cli.main import main; sys.exit(main({words!r} + sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for options, status in (([], 2), (["--allow-class", "mine"], 0), (["--allow-class=mine.Mine"], 0)):
        command = [sys.executable, "-c", code, *options]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("mine.Mine" in done.stdout) == (status == 0)


def test_prefixes_end_at_dots():
    assert is_trusted("torch.optim.AdamW")
    assert is_trusted("s2s_core.averaging.WarmEma")
    assert not is_trusted("torchevil.Optimizer")
    assert not is_trusted("torch.hub.load")
    assert not is_trusted("s2s_corevil.X")


def test_other_words_are_left_alone():
    assert take_allowed(["--a", "1", "--b=2", "c"]) == ["--a", "1", "--b=2", "c"]
    with pytest.raises(UserError, match="--allow-class a-b: expected a module"):
        take_allowed(["--allow-class", "a-b"])
