"""``lightning run TASK COMMAND``: finds the task, hands the arguments to the verb, and words the user's mistakes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.metadata import entry_points

from s2s_core import __version__
from s2s_core.cli.tasks import PACKAGE_OF, Command, TaskInfo, find_task, installed_tasks, load_object
from s2s_core.errors import UserError
from s2s_core.trust import take_allowed

USAGE_ERROR = 2
INTERRUPTED = 130

SHARED_COMMANDS = {
    "fit": Command("train, and validate as it goes", "s2s_core.cli.verbs:fit"),
    "validate": Command("measure a checkpoint on the validation set", "s2s_core.cli.verbs:validate"),
    "test": Command("measure a checkpoint on the test set", "s2s_core.cli.verbs:test"),
    "predict": Command("write a checkpoint's outputs for a manifest", "s2s_core.cli.verbs:predict"),
    "configs": Command("list the packaged configs", "s2s_core.cli.verbs:configs"),
    "export": Command("a checkpoint to safetensors and ONNX", "s2s_core.cli.export:main"),
    "sweep": Command("search settings with Weights & Biases, or on this machine", "s2s_core.cli.sweep:main"),
    "report": Command("one HTML page of a run", "s2s_core.cli.report:main"),
    "convert": Command("an OpenSeq2Seq config to YAML, without running it", "s2s_core.cli.convert:main"),
    "serve": Command("a checkpoint behind HTTP: a web page and an API", "s2s_core.cli.serve:main"),
    "bench": Command("measure training speed against the machine's limit", "s2s_core.cli.verbs:bench"),
}
"""The verbs that every task has; their functions take the task and the arguments."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script ``lightning``: ``run TASK`` is ours, the rest belongs to another distribution's command."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    if argv[:1] == ["run"] and (len(argv) == 1 or argv[1] in ("-h", "--help")):
        print(_tasks_help())
        return 0
    if argv[:1] == ["run"]:
        return _guarded(lambda: run_task(find_task(argv[1]), argv[2:], f"lightning run {argv[1]}"))
    other = _other_lightning()
    if other is not None:
        return int(other() or 0)
    print(_tasks_help())
    asks_for_help = not argv or argv[0] in ("-h", "--help", "--version")
    return 0 if asks_for_help else USAGE_ERROR


def task_main(task_name: str, program: str, arguments: Sequence[str] | None = None) -> int:
    """The console script of one task, such as ``s2s-asr``."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    return _guarded(lambda: run_task(find_task(task_name), argv, program))


def run_task(task: TaskInfo, argv: list[str], program: str) -> int:
    """Run one verb of a task."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_task_help(task, program))
        return 0
    verb, rest = argv[0], take_allowed(argv[1:])
    if verb in task.commands:
        return load_object(task.commands[verb].run)(rest)
    if verb in SHARED_COMMANDS:
        return load_object(SHARED_COMMANDS[verb].run)(task, rest)
    verbs = [*SHARED_COMMANDS, *task.commands]
    near = get_close_matches(verb, verbs, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"commands: {', '.join(verbs)}"
    raise UserError(f"task '{task.name}' has no command '{verb}'; {hint}")


def _guarded(action: Callable[[], int | None]) -> int:
    try:
        return int(action() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        sys.stderr.close()
        return 0


def _other_lightning() -> Callable[[], int | None] | None:
    for point in entry_points(group="console_scripts", name="lightning"):
        if not point.value.startswith("s2s_core."):
            return point.load()
    return None


def _tasks_help() -> str:
    tasks = installed_tasks()
    lines = [
        f"s2s {__version__}: sequence-to-sequence models",
        "",
        "usage: lightning run TASK COMMAND [...]",
        "",
        "tasks:",
    ]
    lines += [f"  {name:<10} {task.summary}" for name, task in tasks.items()]
    missing = {name: package for name, package in PACKAGE_OF.items() if name not in tasks}
    if missing:
        lines.append("not here: " + ", ".join(f"{name} ({package})" for name, package in missing.items()))
    return "\n".join(lines)


def _task_help(task: TaskInfo, program: str) -> str:
    commands = {**SHARED_COMMANDS, **task.commands}
    lines = [f"{task.summary}", "", f"usage: {program} COMMAND [...]", "", "commands:"]
    lines += [f"  {name:<11} {command.summary}" for name, command in commands.items()]
    lines += ["", f"'{program} COMMAND --help' says more; '{program} configs' lists what --config can name."]
    return "\n".join(lines)
