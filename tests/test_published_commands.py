"""What `tests/test_tutorials.py` leaves of the pages' commands is run too: corpora prepared, published recipes trained.

Page by page, in the page's order, in one folder, on stand-ins under the names that the page has. Training is cut to a
step or two of a small batch on the CPU; Jasper keeps its depth and loses its width; eight processes are two.
"""

from functools import cache

import pytest

import stand_ins
from page_commands import provide_checkpoints, run_page_command
from pages import PAGES, TUTORIALS, commands_on, is_form, label, plain, using_commands, words_of
from readers import READERS

ELSEWHERE = {
    "make setup": "what CI's machine was set up with",
    "make check": "CI's first step",
    "make test": "CI's second step, this run",
    "make demo": "`lightning run asr quickstart`: tests/system/test_quickstart.py",
    "pip install packages/core packages/asr": "the wheels of these folders: tests/system/test_wheels.py",
    "pip install s2s-core[wandb]": "needs an index; the extra's packages are here",
    "pip install s2s-core[serve]": "needs an index; the extra's packages are here",
    "pip install s2s-commands scikit-learn": "needs an index; the wheel: tests/system/test_wheels.py",
    "for goal in": "fetches Pants; its script and BUILD files: tests/system/test_pants.py",
    "lightning run lm fit --config quickstart --logger wandb": "with a server of the tests' own: tests/core/tracking",
    "lightning run lm sweep --config sweep.yaml --count": "with the same server: tests/core/sweeps/test_wandb.py",
    "lightning run lm sweep --resume ENTITY/PROJECT/ID": "with the same server: tests/core/sweeps/test_wandb.py",
    "lightning run asr serve": "servers are started and asked in tests/system/test_serve.py",
    "lightning run nmt serve": "and answer in tests/nmt/test_serving.py",
    "lightning run tts serve": "and answer in tests/tts/test_serving.py",
    "curl ": "what is asked: tests/*/test_serving.py",
    "lightning run lm sweep --config quickstart --backend local": "its runs: tests/core/sweeps/test_local.py",
    "lightning run lm sweep --resume runs/sweeps/quickstart": "the same",
    "lightning run asr fit --config an4 --config overlays/compile": "g++ takes minutes: tests/core/test_compiling.py",
    "lightning run vocoder fit --config wavenet": "tests/tts/test_vocoder_task.py",
    "lightning run tts synthesize --manifest": "tests/system/test_synthetic_loop.py",
    "lightning run asr fit --config an4 --data.details.train_weights": "the same",
    "cd s2s": "after the form of a clone",
}
"""Commands, by how they begin, that something else runs, and what."""


@cache
def passed_on():
    """What the tutorials' test runs, as words."""
    found = {tuple(plain(command)) for page in TUTORIALS for command in commands_on(page)}
    for task in stand_ins.FILES:
        found |= {tuple(words) for _, words in using_commands(task)}
    return found


def elsewhere(command):
    return next((begin for begin in ELSEWHERE if " ".join(words_of(command)).startswith(begin)), None)


@cache
def left_on(page):
    """The commands of a page that run here."""
    tutorials = passed_on()
    return [
        command
        for command in commands_on(page)
        if not is_form(command) and not elsewhere(command) and tuple(plain(command)) not in tutorials
    ]


def test_every_command_of_the_pages_is_run():
    run = {command for page in PAGES for command in left_on(page) if label(page) in READERS}
    tutorials, lost = passed_on(), []
    for page in PAGES:
        for command in commands_on(page):
            known = is_form(command) or elsewhere(command) or tuple(plain(command)) in tutorials or command in run
            lost += [] if known else [f"{label(page)}: {command}"]
    assert not lost
    assert len(run) > 55


def test_what_runs_elsewhere_is_on_a_page():
    commands = [" ".join(words_of(command)) for page in PAGES for command in commands_on(page)]
    assert not [begin for begin in ELSEWHERE if not any(command.startswith(begin) for command in commands)]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if left_on(page)], ids=label)
def test_the_commands_of_a_page_run_in_its_order(page, tmp_path, monkeypatch):
    for module in ("espeakng_loader", "lhotse", "sentencepiece"):
        pytest.importorskip(module, reason=f"the pages' commands need {module}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    READERS[label(page)]()
    for command in left_on(page):
        provide_checkpoints(words_of(command))
        run_page_command(command)
