"""A sweep on this machine alone: grid or random, one run a device at a time, results in a CSV, no account needed."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from s2s_core.errors import UserError
from s2s_core.sweeps.definition import Sweep, as_option
from s2s_core.sweeps.results import (
    DONE,
    FAILED,
    INTERRUPTED,
    TABLE,
    Result,
    finished_runs,
    history,
    summary,
    write_table,
)
from s2s_core.sweeps.space import draws, grid, grid_size
from s2s_core.sweeps.workers import devices, environment_of, interrupt, lightning_command, start

PLAN = "sweep.json"
KEYS = ("task", "sweep", "recipe", "count", "seed")
"""Of a plan's content."""
POLL_S = 0.2
HOPELESS = 3
"""After so many failures and no success a sweep stops: the next run would fail of the same cause."""


def plan(sweep: Sweep, count: int | None, seed: int) -> list[dict[str, Any]]:
    """The settings of every run, in order.

    Raises:
        UserError: for a method that needs W&B's server, and for a random search without an end.
    """
    limits = [limit for limit in (count, sweep.run_cap) if limit is not None]
    if sweep.method == "bayes":
        raise UserError("method bayes: is computed by W&B's server; use grid or random here, or --backend wandb")
    if sweep.method == "random" and not limits:
        raise UserError("method random: has no end; give --count N, or run_cap in the file")
    found = grid(sweep.parameters) if sweep.method == "grid" else draws(sweep.parameters, seed)
    if sweep.method == "grid":
        limits.append(grid_size(sweep.parameters))
    return list(itertools.islice(found, min(limits)))


@dataclass
class _Running:
    number: int
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    worker: int
    began_s: float


class LocalSweep:
    """Runs a sweep's plan in ``folder``: ``results.csv``, and for each run a folder and a log named by its number.

    Args:
        task: the task's name.
        sweep: what is searched.
        recipe: the arguments of each run after ``fit``, the searched ones left out.
        runs: the settings of each run.
        folder: where everything goes; a sweep begun there goes on.
        agents: how many run side by side; one a device if None.
    """

    def __init__(
        self, task: str, sweep: Sweep, recipe: list[str], runs: list[dict[str, Any]], folder: Path, agents: int | None
    ) -> None:
        self.task = task
        self.sweep = sweep
        self.recipe = recipe
        self.runs = runs
        self.folder = folder
        self._devices = devices()
        self._workers = min(agents or max(1, len(self._devices)), len(runs))
        self._keys = [parameter.key for parameter in sweep.parameters]
        self._results: dict[int, Result] = {}

    def run(self) -> bool:
        """Run what is not done; returns whether it was interrupted.

        Raises:
            UserError: if the first runs all fail.
        """
        self._take_up()
        waiting = [number for number in range(1, len(self.runs) + 1) if number not in self._results]
        running: list[_Running] = []
        free = list(range(self._workers))
        try:
            while waiting or running:
                while waiting and free:
                    running.append(self._start(waiting.pop(0), free.pop(0)))
                time.sleep(POLL_S)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    free.append(one.worker)
                    self._finish(one)
                self._give_up_if_hopeless()
        except KeyboardInterrupt:
            return True
        finally:
            interrupt(one.process for one in running)
            for one in running:
                self._finish(one)
        return False

    def _take_up(self) -> None:
        for number, row in finished_runs(self.folder).items():
            if number <= len(self.runs):
                best, last = (float(row[key]) if row[key] else None for key in ("best", "last"))
                settings = self.runs[number - 1]
                self._results[number] = Result(number, settings, DONE, best, last, float(row["seconds"]))
        if self._results:
            print(f"{len(self._results)} of {len(self.runs)} runs are done already", file=sys.stderr)

    def _folder(self, number: int) -> Path:
        return self.folder / f"{number:03d}"

    def _start(self, number: int, worker: int) -> _Running:
        folder = self._folder(number)
        command = [lightning_command(), "run", self.task, "fit", *self.recipe, "--output", str(folder)]
        command += [as_option(key, value) for key, value in self.runs[number - 1].items()]
        if (folder / "checkpoints" / "last.ckpt").is_file():
            command += ["--ckpt_path", "last"]
        log = self.folder.joinpath(f"{number:03d}.log").open("ab")
        process = start(command, environment_of(worker, self._workers, self._devices), log)
        settings = ", ".join(f"{key}={value}" for key, value in self.runs[number - 1].items())
        print(f"run {number}/{len(self.runs)}: {settings}", file=sys.stderr, flush=True)
        return _Running(number, process, log, worker, time.monotonic())

    def _finish(self, one: _Running) -> None:
        one.log.close()
        seconds = time.monotonic() - one.began_s
        status = one.process.returncode
        state = DONE if status == 0 else INTERRUPTED if status in (130, -2) else FAILED
        values = history(self._folder(one.number), self.sweep.metric)
        best = (max if self.sweep.maximize else min)(values) if values else None
        last = values[-1] if values else None
        settings = self.runs[one.number - 1]
        self._results[one.number] = Result(one.number, settings, state, best, last, seconds)
        write_table(self.folder, self._results.values(), self._keys)
        outcome = f"{self.sweep.metric} {best:.5g}" if state == DONE and best is not None else state
        if state == FAILED:
            outcome += f" with status {status}: {_last_line(self.folder / f'{one.number:03d}.log')}"
        print(f"run {one.number}/{len(self.runs)}: {outcome} after {seconds:.0f} s", file=sys.stderr, flush=True)

    def _give_up_if_hopeless(self) -> None:
        states = [result.state for result in self._results.values()]
        if len(states) >= HOPELESS and all(state == FAILED for state in states):
            raise UserError(f"sweep: the first {len(states)} runs failed; their logs are in '{self.folder}'")

    def failed(self) -> bool:
        """Whether every run did."""
        return all(result.state == FAILED for result in self._results.values())

    def report(self) -> str:
        """The table of results, best first, and where they lie."""
        results = list(self._results.values())
        table = summary(results, self.sweep.metric, self.sweep.maximize, self._keys)
        return f"{table}\nresults in {self.folder / TABLE}"


def save_plan(folder: Path, content: dict[str, Any]) -> None:
    """Begin a sweep's folder.

    Raises:
        UserError: if there is a sweep in it already.
    """
    if (folder / PLAN).exists():
        raise UserError(f"'{folder}' already holds a sweep: go on with --resume {folder}, or choose another --output")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLAN).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_plan(folder: Path) -> dict[str, Any]:
    """What `save_plan` wrote.

    Raises:
        UserError: if the folder holds no sweep.
    """
    path = folder / PLAN
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--resume {folder}: holds no sweep of this machine ('{path}' is not readable)") from error
    missing = [key for key in KEYS if not isinstance(found, dict) or key not in found]
    if missing:
        raise UserError(f"--resume {folder}: holds no sweep of this machine ('{path}' has no {missing[0]})")
    return found


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
