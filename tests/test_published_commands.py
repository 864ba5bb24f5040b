"""What `tests/test_tutorials.py` leaves of the pages' commands is run too: corpora prepared, published recipes trained.

Page by page, in the page's order, in one folder, on stand-ins under the names that the page has. Training is cut to a
step or two of a small batch on the CPU; Jasper keeps its depth and loses its width; eight processes are two.
"""

from functools import cache

import pytest

import stand_ins
from page_commands import provide_checkpoints, run_page_command
from page_servers import questions_to, servers_of
from pages import PAGES, TUTORIALS, commands_on, is_form, label, plain, using_commands, words_of
from readers import READERS

GOALS = ("list ::", "dependencies ::", "tailor --check ::", "lint ::", "package packages/::")
ELSEWHERE = {
    "make setup": "what CI's machine was set up with",
    "make check": "CI's first step",
    "make test": "CI's second step, this run",
    "make demo": "`lightning run asr quickstart`: tests/system/test_quickstart.py",
    "pip install packages/core packages/asr": "the wheels of these folders: tests/system/test_wheels.py",
    "pip install s2s-core[wandb]": "needs an index; the extra's packages are here",
    "pip install s2s-core[serve]": "needs an index; the extra's packages are here",
    "pip install s2s-commands scikit-learn": "needs an index; the wheel: tests/system/test_wheels.py",
    f"for goal in {' '.join(GOALS)}; do 3rdparty/pants.sh $goal; done": "fetches Pants: tests/system/test_pants.py",
    "cd s2s": "after the form of a clone",
}
"""Commands that something else runs, and what."""


@cache
def passed_on():
    """What the tutorials' test runs, as words."""
    found = {tuple(plain(command)) for page in TUTORIALS for command in commands_on(page)}
    for task in stand_ins.FILES:
        found |= {tuple(words) for _, words in using_commands(task)}
        found |= {tuple(words) for words in [*servers_of(task), *questions_to(task)]}
    return found


def words_as_line(command):
    return " ".join(words_of(command))


@cache
def left_on(page):
    """The commands of a page that run here."""
    tutorials = passed_on()
    return [
        command
        for command in commands_on(page)
        if not is_form(command) and words_as_line(command) not in ELSEWHERE and tuple(plain(command)) not in tutorials
    ]


def test_every_command_of_the_pages_is_run():
    left = {(label(page), command) for page in PAGES for command in left_on(page)}
    assert not [f"{page}: {command}" for page, command in left if page not in READERS]
    assert len({command for _, command in left}) > 65


def test_what_runs_elsewhere_is_on_a_page():
    assert set(ELSEWHERE) <= {words_as_line(command) for page in PAGES for command in commands_on(page)}


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if left_on(page)], ids=label)
def test_the_commands_of_a_page_run_in_its_order(page, tmp_path, monkeypatch, request):
    for module in ("espeakng_loader", "lhotse", "sentencepiece"):
        pytest.importorskip(module, reason=f"the pages' commands need {module}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    server = request.getfixturevalue("server") if "--logger wandb" in page.read_text(encoding="utf-8") else None
    READERS[label(page)]()
    for command in left_on(page):
        provide_checkpoints(words_of(command))
        run_page_command(command, server)
