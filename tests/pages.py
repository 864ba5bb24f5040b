"""The pages that readers are given, and the commands on them."""

import re
import shlex
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TUTORIALS = sorted(REPOSITORY.glob("docs/tutorials/*.md"))
PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")]
PAGES += sorted([*REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("packages/*/README.md")])
OTHERS = [page for page in PAGES if page not in TUTORIALS]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
PROGRAMS = {f"s2s-{task}": task for task in ("asr", "tts", "nmt", "lm", "sentiment", "commands", "images")}
"""What is installed beside ``lightning run TASK``."""
FEEDS = ("arecord ", "echo ")
"""What stands before a pipe and only feeds the command after it."""
USING = {"test", "predict", "transcribe", "tune-lm", "stream", "align", "translate", "generate", "score", "ngram"}
USING |= {"classify", "synthesize", "export", "report"}
"""The verbs that use a trained model, or train none: they take moments."""
NOT_ALONE = ("--rescore", "rescored.json", "--manifest", "6-gram", "pictures/", "--ckpt_path FILE")
"""What needs more than a file of the reader's: a second model, a corpus, all cores."""


def label(page):
    return page.relative_to(REPOSITORY).as_posix()


def blocks_of(page):
    """The language and text of each fenced block."""
    return [(match[2], match[3]) for match in FENCE.finditer(page.read_text(encoding="utf-8"))]


def settings_on(page):
    """The first YAML block of a page."""
    return next(block for language, block in blocks_of(page) if language == "yaml")


def commands_in(block):
    """The commands of a block, in order; continued lines are one."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        parts = re.split(r" && | \| ", line.strip().removeprefix("$ "))
        found += [part for part in parts if part and not part.startswith(("#", *FEEDS))]
    return found


@cache
def commands_on(page):
    """The commands of a page's plain blocks, in order."""
    plain_blocks = [block for language, block in blocks_of(page) if language in ("", "sh", "bash", "console")]
    return tuple(command for block in plain_blocks for command in commands_in(block))


def words_of(command):
    """What is started with which arguments: without settings of the environment, redirections and comments."""
    words = shlex.split(command.replace("$(which lightning)", "lightning"), comments=True)
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    redirected = next((place for place, word in enumerate(words) if word in ("<", ">", ">>")), len(words))
    return words[:redirected]


def plain(command):
    """The words of a command, ``s2s-asr`` and its like as the ``lightning run`` that they are short for."""
    words = words_of(command)
    return ["lightning", "run", PROGRAMS[words[0]], *words[1:]] if words[0] in PROGRAMS else words


def is_form(command):
    """Whether it is the form of a command, not a command: TASK, CORPUS, REPOSITORY or ... stand in it for a word."""
    words = plain(command)
    place = 2 if words[:2] == ["lightning", "run"] else 1
    return any(re.fullmatch(r"TASK|COMMAND|CORPUS|REPOSITORY|\.\.\.", word) for word in words[place:])


@cache
def using_commands(task):
    """Where and what the commands of a task are, outside the tutorials, that use a trained model; each once."""
    found = {}
    for page in OTHERS:
        for command in commands_on(page):
            words = plain(command)
            if words[:3] == ["lightning", "run", task] and len(words) > 3 and not is_form(command):
                alone = not any(part in command for part in NOT_ALONE)
                if alone and (words[3] in USING or "--dry-run" in words):
                    found.setdefault(tuple(words), page.name)
    return [(name, list(words)) for words, name in found.items()]
