"""What a package costs before it does anything: distributions, bytes on disk, seconds to import and to say ``--help``.

    python benchmarks/packages.py --scratch FOLDER --dist dist --uv uv

Each of the six packages and each peer gets an environment of its own, made by uv, whose cache shares files among them
by hard links; torch is one version for all that can have it. ``--install-only`` makes the environments and times
nothing; environments that exist are taken as they are. ``dist`` holds the six wheels (``make wheels``). Each time is
of a fresh process; on a busy machine the processor's seconds are the ones to read. The first import also compiles the
bytecode, which uv leaves to it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import statistics
import subprocess
import time
from importlib import metadata
from pathlib import Path

from machine import cpu_name
from timing import print_table

REPOSITORY = Path(__file__).parents[1]
TORCH = ("torch==2.11.0", "torchaudio==2.11.0")
SHARED_BY_ALL = re.compile(r"torch|torchaudio|torchvision|triton|nvidia-.*|cuda-.*")
"""Distributions that make up PyTorch and CUDA."""


@dataclasses.dataclass(frozen=True)
class System:
    """What a user installs, and what has to be imported before anything can be recognised, spoken or translated."""

    name: str
    requirements: tuple[str, ...]
    ready: str
    help: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        return self.name.startswith("s2s-")


SYSTEMS = (
    System("s2s-core", ("s2s-core",), "from s2s_core.task import Task", ("lightning", "run", "--help")),
    System("s2s-asr", ("s2s-asr",), "from s2s_asr import Transcriber", ("s2s-asr", "--help")),
    System("s2s-tts", ("s2s-tts",), "from s2s_tts import Synthesizer", ("s2s-tts", "--help")),
    System("s2s-nmt", ("s2s-nmt",), "from s2s_nmt import Translator", ("s2s-nmt", "--help")),
    System("s2s-lm", ("s2s-lm",), "from s2s_lm import LanguageModel", ("s2s-lm", "--help")),
    System("s2s-commands", ("s2s-commands",), "from s2s_commands import CommandClassifier", ("s2s-commands", "--help")),
    System("NeMo [asr]", ("nemo_toolkit[asr]", *TORCH), "import nemo.collections.asr"),
    System(
        "ESPnet",
        ("espnet", *TORCH),
        "from espnet2.bin.asr_inference import Speech2Text",
        ("python", "-m", "espnet2.bin.asr_train", "--help"),
    ),
    System("SpeechBrain", ("speechbrain", *TORCH), "from speechbrain.inference.ASR import EncoderDecoderASR"),
    System("fairseq", ("fairseq", *TORCH), "import fairseq", ("fairseq-train", "--help")),
    # six: coqui-tts 0.28 imports it by way of what it needs, and nothing asks for it
    System("Coqui", ("coqui-tts[codec]", "six", *TORCH), "from TTS.api import TTS", ("tts", "--help")),
    System("Coqui, the original", ("TTS", *TORCH), "from TTS.api import TTS", ("tts", "--help")),
)


def install(system: System, home: Path, args: argparse.Namespace) -> str:
    """Make the environment; return why it could not be made, or nothing."""
    failure = home.with_suffix(".failed")
    if (home / "complete").is_file() or failure.is_file():
        return failure.read_text(encoding="utf-8") if failure.is_file() else ""
    environ = {**os.environ, "UV_LINK_MODE": "hardlink"}
    subprocess.run([args.uv, "venv", "--quiet", "--clear", "--python", args.python, home], env=environ, check=True)
    command = [args.uv, "pip", "install", "--python", home / "bin/python", *system.requirements]
    if system.ours:
        command += ["--constraint", REPOSITORY / "constraints.txt", "--find-links", args.dist]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        told = [line.strip() for line in done.stderr.splitlines() if re.match(r"\s*(\w*error|cause):", line, re.I)]
        failure.write_text("\n".join(told) + "\n", encoding="utf-8")
        return failure.read_text(encoding="utf-8")
    (home / "complete").touch()
    return ""


def sizes(home: Path) -> dict[str, float | str]:
    """Distributions in an environment and their bytes, bytecode apart."""
    version = re.search(r"version_info = (\S+)", (home / "pyvenv.cfg").read_text(encoding="utf-8"))
    distributions = list(metadata.distributions(path=[str(next(home.glob("lib/python*/site-packages")))]))
    totals = {True: 0, False: 0}
    for distribution in distributions:
        shared = SHARED_BY_ALL.fullmatch(distribution.name.lower().replace("_", "-")) is not None
        for entry in distribution.files or []:
            file = Path(str(entry.locate()))
            totals[shared] += file.stat().st_size if file.suffix != ".pyc" and file.is_file() else 0
    return {
        "python": version[1] if version else "",
        "distributions": len(distributions),
        "mb": round(sum(totals.values()) / 1e6),
        "mb_without_torch": round(totals[False] / 1e6, 1),
    }


@dataclasses.dataclass(frozen=True)
class Run:
    """Seconds of one process: of the clock, and of the processor."""

    wall: float
    cpu: float


def run(home: Path, *command: str) -> Run | str:
    """Time a command of the environment; or its last line of complaint."""
    unset = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    environ = {name: value for name, value in os.environ.items() if name not in unset}
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(home / "bin" / command[0]), *command[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
        env=environ,
    )
    assert process.stderr is not None
    complaints = process.stderr.read().strip()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        return complaints.splitlines()[-1] if complaints else f"ended with status {process.returncode}"
    return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)


def measure(home: Path, system: System, repeats: int) -> dict[str, object]:
    """The row of one system."""
    row: dict[str, object] = {"system": system.name, **sizes(home)}
    commands = {"import": ("python", "-c", system.ready)} | ({"help": system.help} if system.help else {})
    for what, command in commands.items():
        runs = []
        for _ in range(repeats + 1):
            done = run(home, *command)
            if isinstance(done, str):
                row[f"{what}_error"] = done
                break
            runs.append(done)
        else:
            row[f"{what}_first_s"] = round(runs[0].wall, 2)
            row[f"{what}_first_cpu_s"] = round(runs[0].cpu, 2)
            row[f"{what}_s"] = round(statistics.median(run.wall for run in runs[1:]), 2)
            row[f"{what}_cpu_s"] = round(statistics.median(run.cpu for run in runs[1:]), 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, required=True, help="folder of the environments, on uv's cache's disk")
    parser.add_argument("--dist", type=Path, default=REPOSITORY / "dist", help="our six wheels (default: %(default)s)")
    parser.add_argument("--uv", default="uv")
    parser.add_argument("--python", default="3.12", help="of all environments (default: %(default)s)")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="some of: " + ", ".join(s.name for s in SYSTEMS))
    parser.add_argument("--install-only", action="store_true")
    parser.add_argument("--repeats", type=int, default=3, help="after the first time (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "packages.json")
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    args.scratch.mkdir(parents=True, exist_ok=True)
    for system in SYSTEMS:
        if args.only and system.name not in args.only:
            continue
        home = args.scratch.resolve() / re.sub("[^a-z0-9]+", "-", system.name.lower()).strip("-")
        failed = install(system, home, args)
        if failed:
            rows.append({"system": system.name, "install_error": failed.splitlines()})
        elif not args.install_only:
            rows.append(measure(home, system, args.repeats))
        if rows:
            print(json.dumps(rows[-1]), flush=True)
        if not args.install_only:
            about = {"device": cpu_name(), "repeats": args.repeats, "rows": rows}
            args.output.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    timed = [f"{what}_{key}" for what in ("import", "help") for key in ("first_s", "s", "cpu_s")]
    print_table(rows, ["system", "distributions", "mb", "mb_without_torch", *timed])


if __name__ == "__main__":
    main()
