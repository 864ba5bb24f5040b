import pytest

from s2s_core.cli import serve
from s2s_core.cli.main import main
from s2s_core.cli.tasks import installed_tasks, load_object
from s2s_core.serving.server import bind

SERVED = [task for task in installed_tasks().values() if task.serving is not None]


def mistake(capsys, *arguments):
    assert main(["run", *map(str, arguments)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_all_tasks_but_the_vocoder_are_served(capsys):
    assert {task.name for task in SERVED} >= {"asr", "tts", "nmt", "lm", "sentiment", "commands", "images"}
    assert "task 'vocoder' has no verb that could be served" in mistake(capsys, "vocoder", "serve", "x.ckpt")


@pytest.mark.parametrize("task", SERVED, ids=lambda task: task.name)
def test_options_of_a_task(task):
    options = serve._parser(task).parse_args(["best.ckpt", "--port", "0", "--max-batch", "3"])
    assert (options.host, options.port, options.max_batch) == ("127.0.0.1", 0, 3), "loopback unless told otherwise"
    assert callable(load_object(task.serving.endpoints))


@pytest.mark.parametrize("task", SERVED, ids=lambda task: task.name)
def test_checkpoint_mistakes_are_a_line(task, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("s2s_core.host_memory.keep_freed_memory", lambda: True)
    (tmp_path / "cut.ckpt").write_bytes(b"PK\x03\x04 and no more")
    for name, words in (("absent.ckpt", "no such file"), ("cut.ckpt", "truncated or not"), ("", "a folder")):
        assert words in mistake(capsys, task.name, "serve", tmp_path / name, "--port", 0)


def test_a_port_in_use_is_said_before_the_model_is_loaded(capsys):
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port}: in use" in mistake(capsys, "lm", "serve", "absent.ckpt", "--port", port)


def test_the_missing_extra_is_named(capsys, monkeypatch):
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else object())
    assert "serve needs uvicorn: pip install 's2s-core[serve]'" in mistake(capsys, "lm", "serve", "absent.ckpt")


@pytest.mark.parametrize(
    ("option", "value"), [("--port", "70000"), ("--max-batch", "0"), ("--max-upload-mb", "much"), ("--max-wait-ms", -1)]
)
def test_numbers_out_of_range(capsys, option, value):
    assert f"argument {option}: expected a number from" in mistake(capsys, "lm", "serve", "x.ckpt", f"{option}={value}")
