"""Systems that do the same work, timed in turns, so that a busy machine slows them alike."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class System(Protocol):
    """Something that does one step of the work when asked."""

    def step(self) -> float:
        """Do it; return the seconds it took."""
        ...


class LocalSystem:
    """A function of this process. `cpu_seconds` holds what each step took of all cores, which others' work hardly
    moves; with ``OMP_WAIT_POLICY=passive`` waiting for one's own threads does not count."""

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run
        self.cpu_seconds: list[float] = []

    def step(self) -> float:
        start, used = time.perf_counter(), time.process_time()
        self.run()
        self.cpu_seconds.append(time.process_time() - used)
        return time.perf_counter() - start


class PeerSystem(AbstractContextManager["PeerSystem"]):
    """Another Python, with packages that cannot live in ours. It sleeps while others take their turn.

    Its script prints ``ready``, then for each line that it reads the seconds of a step.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while self._read() != "ready":
            pass

    def step(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended with status {self.process.wait()}")
        return line.strip()

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def interleave(systems: dict[str, System], steps: int) -> dict[str, list[float]]:
    """Let each system do a step in turn, ``steps`` times after one to warm up; return the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for turn in range(steps + 1):
        for name, system in systems.items():
            taken = system.step()
            if turn > 0:
                seconds[name].append(taken)
    return seconds


def summary(seconds: list[float]) -> dict[str, float | int]:
    """Median, extremes and count."""
    return {
        "seconds_median": round(statistics.median(seconds), 4),
        "seconds_min": round(min(seconds), 4),
        "seconds_max": round(max(seconds), 4),
        "steps": len(seconds),
    }


def cpu_ratio(peer: LocalSystem, ours: LocalSystem) -> float:
    """How many times the processor time of one system's steps another's take, without the step to warm up."""
    medians = [statistics.median(system.cpu_seconds[1:]) for system in (peer, ours)]
    return round(medians[0] / medians[1], 2)


def print_table(rows: list[dict], columns: Sequence[str]) -> None:
    """Print the columns of the rows, aligned."""
    cells = [list(columns)] + [[str(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
