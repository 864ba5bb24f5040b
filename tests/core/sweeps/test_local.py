"""A local sweep, with a stand-in for ``lightning`` that writes the logs a run would."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from s2s_core.errors import UserError
from s2s_core.sweeps import local
from s2s_core.sweeps.definition import parse_sweep
from s2s_core.sweeps.local import LocalSweep, plan

RUN = """#!{python}
import json, os, pathlib, sys, time
words = sys.argv[1:]
folder = pathlib.Path(words[words.index("--output") + 1])
lr = float(next(word for word in words if word.startswith("--lr=")).partition("=")[2])
logs = folder / "csv" / "version_0"
logs.mkdir(parents=True, exist_ok=True)
facts = dict(words=words, device=os.environ.get("CUDA_VISIBLE_DEVICES"), began=time.time())
(folder / "facts.json").write_text(json.dumps(facts))
if lr < 0:
    sys.exit("error: lr is negative")
if lr > 100 and "--ckpt_path" not in words:
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(130)
time.sleep(0.3)
(logs / "metrics.csv").write_text(f"step,val/x\\n1,{{lr + 1}}\\n2,{{lr}}\\n3,{{lr + 0.5}}\\n")
"""


def sweep_of(values):
    command = ["lightning", "run", "lm", "fit", "${args}"]
    content = {
        "command": command,
        "method": "grid",
        "metric": {"name": "val/x"},
        "parameters": {"lr": {"values": values}},
    }
    return parse_sweep(content, "lm")


@pytest.fixture
def start(tmp_path, monkeypatch):
    script = tmp_path / "lightning"
    script.write_text(RUN.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setattr(local, "lightning_command", lambda: str(script))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    folder = tmp_path / "sweep"
    folder.mkdir()

    def make(values, agents=None):
        sweep = sweep_of(values)
        return LocalSweep("lm", sweep, ["--more=1"], plan(sweep, None, 1), folder, agents)

    return make, folder


def facts(folder, number):
    return json.loads((folder / f"{number:03d}" / "facts.json").read_text())


def test_every_run_has_its_folder_device_and_settings_and_two_run_at_a_time(start):
    make, folder = start
    assert make([0.1, 0.2, 0.3, 0.4]).run() is False
    runs = [facts(folder, number) for number in (1, 2, 3, 4)]
    assert {run["device"] for run in runs[:2]} == {"3", "5"}
    assert {run["device"] for run in runs[2:]} == {"3", "5"}
    assert runs[0]["words"] == ["run", "lm", "fit", "--more=1", "--output", str(folder / "001"), "--lr=0.1"]
    assert abs(runs[0]["began"] - runs[1]["began"]) < runs[2]["began"] - runs[0]["began"]
    rows = (folder / "results.csv").read_text().splitlines()
    assert [row.split(",")[:4] for row in rows[1:]] == [
        [str(number), "done", str(lr), str(lr + 0.5)] for number, lr in ((1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4))
    ]


def test_what_is_done_is_not_run_again(start):
    make, folder = start
    make([0.1]).run()
    began = facts(folder, 1)["began"]
    second = make([0.1, 0.2])
    second.run()
    assert facts(folder, 1)["began"] == began
    assert facts(folder, 2)
    assert second.report().splitlines()[1].split()[:2] == ["1", "0.1"]


def test_a_failing_run_is_named_and_the_others_go_on(start, capsys):
    make, folder = start
    make([-1.0, 0.2], agents=1).run()
    assert "run 1/2: failed with status 1: error: lr is negative" in capsys.readouterr().err
    assert [row.split(",")[1] for row in (folder / "results.csv").read_text().splitlines()[1:]] == ["failed", "done"]


def test_when_all_fail_it_stops(start):
    make, folder = start
    with pytest.raises(UserError, match="the first 3 runs failed"):
        make([-1.0, -2.0, -3.0, -4.0, -5.0], agents=1).run()
    assert not (folder / "004").exists()


@pytest.fixture
def heeding():
    """Ctrl-C is heard, even where the tests run in a background that was told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding")
def test_ctrl_c_ends_the_runs_and_resuming_goes_on_with_them(start):
    make, folder = start

    def press():
        deadline = time.monotonic() + 60
        while not (folder / "001" / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    assert make([200.0, 0.2], agents=1).run() is True
    assert "interrupted" in (folder / "results.csv").read_text()
    assert not (folder / "002").exists()
    assert make([200.0, 0.2], agents=1).run() is False
    assert facts(folder, 1)["words"][-2:] == ["--ckpt_path", "last"]
    assert (folder / "results.csv").read_text().count("done") == 2


def test_only_grid_and_random_run_here():
    random_sweep = parse_sweep({**sweep_of([1.0]).content, "method": "random"}, "lm")
    with pytest.raises(UserError, match="has no end; give --count"):
        plan(random_sweep, None, 1)
    assert len(plan(random_sweep, 7, 1)) == 7
    with pytest.raises(UserError, match="method bayes"):
        plan(parse_sweep({**sweep_of([1.0]).content, "method": "bayes"}, "lm"), 3, 1)


def test_a_stubborn_process_is_killed():
    from s2s_core.sweeps.workers import interrupt
    from s2s_core.sweeps.workers import start as begin

    code = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; print(flush=True); time.sleep(60)"
    process = begin([sys.executable, "-c", code], dict(os.environ), subprocess.PIPE)
    process.stdout.readline()
    interrupt([process], grace_s=0.2)
    assert process.returncode == -signal.SIGKILL
