"""``report``: one self-contained HTML page of a run."""

from __future__ import annotations

from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.output import output_file
from s2s_core.cli.tasks import TaskInfo, load_object


def main(task: TaskInfo, argv: list[str]) -> int:
    """Write the page; returns the exit status."""
    parser = VerbParser(
        prog=f"lightning run {task.name} report",
        description="Write one HTML page of a run: curves, final figures, samples, config and machine. It needs no "
        "other file and no network, and runs no script.",
    )
    parser.add_argument("folder", type=Path, metavar="RUN_FOLDER", help="the folder that fit wrote")
    parser.add_argument("--output", metavar="FILE", help="the page (default: RUN_FOLDER/report.html)")
    asked = parser.parse_args(argv)
    from s2s_core.report.page import render
    from s2s_core.report.run_files import read_run

    run = read_run(asked.folder)
    path = output_file("--output", asked.output or str(asked.folder / "report.html"))
    model = load_object(task.model)
    page = render(run, task.name, model.monitor, model.monitor_mode == "max")
    path.write_text(page, encoding="utf-8")
    print(f"{path}: {len(run.curves)} figures, {len(run.samples)} samples, {path.stat().st_size / 1e3:.0f} kB")
    return 0
