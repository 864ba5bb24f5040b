"""Starts the servers that the pages start, and asks them what the pages ask."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from page_commands import LIGHTNING
from pages import OTHERS, commands_on, is_form, plain, words_of

ADDRESS = "http://127.0.0.1:8000"
TASKS = {"transcribe": "asr", "synthesize": "tts", "translate": "nmt", "generate": "lm", "score": "lm"}


def curl_can_ask():
    """Whether `curl` is there, and not older than 7.82, which first had ``--json``."""
    if shutil.which("curl") is None:
        return False
    done = subprocess.run(["curl", "--help", "http"], capture_output=True, text=True, check=False)
    return "--json" in done.stdout


def task_of_question(words):
    """Which task's server a `curl` of the pages is for."""
    path = next(word for word in words if word.startswith(ADDRESS)).rpartition("/")[2]
    if path == "classify":
        return "commands" if "-F" in words else "sentiment"
    return TASKS[path]


def questions_to(task):
    """The words of each question that the pages put to a task's server."""
    asked = [words_of(command) for page in OTHERS for command in commands_on(page) if command.startswith("curl ")]
    return [words for words in asked if task_of_question(words) == task]


def servers_of(task):
    """The words of each command that starts a server of a task; the shortest where no page has one to ask."""
    found = [plain(command) for page in OTHERS for command in commands_on(page) if not is_form(command)]
    begin = ["lightning", "run", task, "serve"]
    written = [words for words in found if words[:4] == begin and "--help" not in words]
    return written or [[*begin, "best.ckpt"] for _ in questions_to(task)[:1]]


def ask_server(words, questions):
    """Start a server on a free port and ask.

    Returns:
        What each question was answered: the status, and the JSON or a file's first bytes.
    """
    command = [sys.executable, LIGHTNING, *words[1:]]
    process = subprocess.Popen(
        [*command, "--port=0", "--device=cpu"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, f"{shlex.join(words)}: {line}{process.stderr.read()}"
        return [answer([word.replace(ADDRESS, found[0]) for word in question]) for question in questions]
    finally:
        process.kill()
        process.communicate()


def answer(question):
    done = subprocess.run(
        [*question, "--no-progress-meter", "--write-out", "\n%{http_code}"], capture_output=True, check=True
    )
    body, _, status = done.stdout.rpartition(b"\n")
    if "--output" in question:
        body = Path(question[question.index("--output") + 1]).read_bytes()
    return int(status), body
