import subprocess
import sys

import pytest

from s2s_core.cli import main as cli
from s2s_core.cli.tasks import Command, TaskInfo


def run(capsys, *arguments):
    status = cli.main(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def test_run_lists_the_tasks_and_what_is_missing(capsys):
    status, out, _ = run(capsys, "run")
    assert status == 0
    assert "asr" in out
    assert "Speech recognition" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "ars", "fit"), "unknown task 'ars'; did you mean asr?"),
        (("run", "asr", "fitt"), "task 'asr' has no command 'fitt'; did you mean fit"),
        (("run", "asr", "fit", "--config", "jaspr/10x5"), "config 'jaspr/10x5': neither a file nor a packaged config"),
        (("run", "asr", "fit", "--config"), "--config: expected the name"),
        (("run", "asr", "fit", "--output"), "argument --output: expected one argument"),
        (("run", "asr", "configs", "quickstrt"), "did you mean quickstart?"),
        (("run", "asr", "configs", "--bogus"), "unrecognized arguments: --bogus"),
        (("run", "asr", "prepare"), "required: CORPUS, --output"),
        (
            ("run", "asr", "prepare", "csv", "--output", "x", "--jobs", "two"),
            "argument --jobs: invalid int value: 'two'",
        ),
        (("run", "asr", "transcribe", "a.wav"), "required: --checkpoint"),
        (("run", "asr", "quickstart", "--seed", "x"), "argument --seed: invalid int value"),
        (("run", "asr", "bench", "--config", "quickstrt"), "did you mean quickstart?"),
        (("run", "asr", "predict", "--ckpt_path", "a.ckpt", "--output", "absent/p.jsonl"), "no folder 'absent'"),
        (("run", "asr", "test"), "--ckpt_path: expected the checkpoint"),
        (("run", "asr", "test", "--ckpt_path", "absent.ckpt"), "checkpoint 'absent.ckpt': no such file"),
        (("run", "asr", "fit", "--config", "quickstart", "--trainer.precision=bf16-true"), "overlays/bf16-master"),
        (("run", "asr", "fit", "--config", "quickstart", "--trainer.precision=16-true"), "overlays/fp16-mixed"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(capsys, arguments, message):
    status, out, err = (
        run(capsys, *arguments) if arguments != ("run", "asr", "test") else run(capsys, *arguments, "--x=1")
    )
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_what_is_not_run_goes_to_another_distributions_command(monkeypatch):
    monkeypatch.setattr(cli, "_other_lightning", lambda: lambda: 7)
    assert cli.main(["serve", "x"]) == 7


def test_ctrl_c_ends_with_its_own_status(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    task = TaskInfo("t", "s2s_core", "", "", "", {"go": Command("", "x:y")})
    monkeypatch.setattr(cli, "find_task", lambda name: task)
    monkeypatch.setattr(cli, "load_object", lambda path: interrupted)
    assert run(capsys, "run", "t", "go") == (130, "", "\ninterrupted\n")


HEAVY = ("torch", "lightning", "lhotse", "torchaudio", "wandb", "scipy", "pandas")


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["run", "asr"], ["run", "asr", "configs"]]
    + [["run", "asr", verb, "--help"] for verb in (*cli.SHARED_COMMANDS, "prepare", "transcribe", "quickstart")],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
from s2s_core.cli.main import main
try:
    status = main({arguments!r})
except SystemExit as done:
    status = done.code
assert not status, status
heavy = [name for name in {HEAVY!r} if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
