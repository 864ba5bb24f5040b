"""``export``: a checkpoint to files for other programs."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.tasks import TaskInfo
from s2s_core.errors import UserError

EPILOG = """\
model.safetensors  the weights, float32
config.json        what the model is built of, as in the recipe; assets/ holds its vocabulary or classes
model.onnx         for onnxruntime and others, where the task offers it; its metadata says what goes in

Needs safetensors, and for ONNX onnx and onnxscript: pip install 's2s-core[export]'.
From Python: s2s_core.export.load_exported(DIR).
"""


def main(task: TaskInfo, argv: list[str]) -> int:
    """Export a checkpoint; returns the exit status."""
    parser = VerbParser(
        prog=f"lightning run {task.name} export",
        description="A checkpoint to safetensors and a config, and to ONNX where the task offers it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ckpt_path", type=Path, required=True, metavar="FILE", help="as `fit` wrote it")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to write to")
    parser.add_argument(
        "--format",
        choices=["auto", "safetensors", "onnx"],
        default="auto",
        help="onnx insists on model.onnx beside the rest, safetensors does without (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is in the folder")
    options = parser.parse_args(argv)
    if options.output.is_file():
        raise UserError(f"--output {options.output}: is a file, expected a folder")
    if options.output.is_dir() and any(options.output.iterdir()) and not options.overwrite:
        raise UserError(f"--output {options.output}: is not empty; --overwrite replaces an earlier export")
    from s2s_core.checkpoint import load_task  # torch takes seconds to import, --help should not
    from s2s_core.export import export_task

    # from within torch's exporter
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    module = load_task(options.ckpt_path, task=task.name)
    onnx = {"auto": None, "safetensors": False, "onnx": True}[options.format]
    for name in export_task(module, options.output, onnx):
        size = (options.output / name).stat().st_size
        print(f"{options.output / name}  {size / 1e6:.1f} MB")
    return 0
