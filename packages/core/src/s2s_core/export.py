"""Trained tasks as files for other programs: safetensors with a config, and ONNX where the task offers it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from s2s_core.checkpoint import FORMAT, build_task
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_core.task import Task

WEIGHTS, CONFIG, ASSETS, ONNX = "model.safetensors", "config.json", "assets", "model.onnx"
OPSET = 20


@dataclass
class OnnxGraph:
    """What of a task becomes an ONNX model."""

    module: nn.Module
    """In evaluation mode; takes the inputs in their order, returns the outputs."""
    inputs: dict[str, Tensor]
    """Examples by name."""
    outputs: list[str]
    axes: dict[str, dict[int, str]] = field(default_factory=dict)
    """Names of the axes of inputs that may have another size than in the example."""
    notes: dict[str, object] = field(default_factory=dict)
    """What its user must know, as JSON: written into the model's metadata under ``s2s``."""


@runtime_checkable
class OnnxExportable(Protocol):
    """A task that offers a graph."""

    def onnx_graph(self) -> OnnxGraph: ...


def export_task(task: Task, folder: Path, onnx: bool | None = None) -> list[str]:
    """Write a task's float32 weights, its config and assets, and its ONNX graph.

    Args:
        task: on the CPU, in evaluation mode.
        folder: is made if need be.
        onnx: whether ONNX is written; None writes it where the task offers it.

    Returns:
        the files' names, relative to the folder.

    Raises:
        UserError: if ONNX is asked for and not offered, or a library is missing.
    """
    if onnx and not isinstance(task, OnnxExportable):
        raise UserError(f"export: task '{task.name}' has no ONNX graph; --format safetensors writes its weights")
    folder.mkdir(parents=True, exist_ok=True)
    _write_weights(task.state_dict(), folder / WEIGHTS)
    written = [WEIGHTS, CONFIG]
    assets = task.assets()
    for name, data in assets.items():
        place = folder / ASSETS / name  # of a part within the task: source/sentencepiece.model
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        written.append(f"{ASSETS}/{name}")
    config = {"format": FORMAT, "task": task.name, "spec": task.describe(), "assets": sorted(assets)}
    (folder / CONFIG).write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if onnx is not False and isinstance(task, OnnxExportable):
        _write_onnx(task.onnx_graph(), folder / ONNX)
        written.append(ONNX)
    return written


def load_exported(folder: str | Path) -> Task:
    """Rebuild the task of an exported folder, in evaluation mode on the CPU.

    Raises:
        UserError: if the folder holds no export, or names files outside of it, or classes outside the toolkit, torch
            and Lightning.
    """
    place = Path(folder)
    try:
        config = json.loads((place / CONFIG).read_text(encoding="utf-8"))
        spec, names = config["spec"], [str(name) for name in config["assets"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{place}: no export of this toolkit; `export` writes {CONFIG} and {WEIGHTS}") from None
    for name in names:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise UserError(f"{place / CONFIG}: asset {name!r} lies outside the folder")
    from safetensors.torch import load_file

    task = build_task(spec, str(place / CONFIG))
    task.load_assets({name: (place / ASSETS / name).read_bytes() for name in names})
    task.load_state_dict(load_file(place / WEIGHTS))
    return task.eval()


def _write_weights(state: Mapping[str, Tensor], path: Path) -> None:
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise UserError("export: needs safetensors; pip install 's2s-core[export]'") from None
    # safetensors refuses tensors that share memory and keeps no memory format: every name gets a copy of its own
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, path)


def _write_onnx(graph: OnnxGraph, path: Path) -> None:
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it, and says so late
    except ImportError:
        raise UserError("export: ONNX needs onnx and onnxscript; pip install 's2s-core[export]'") from None
    sizes = {
        name: {axis: torch.export.Dim(label) for axis, label in graph.axes.get(name, {}).items()}
        for name in graph.inputs
    }
    program = torch.onnx.export(
        graph.module.eval(),
        tuple(graph.inputs.values()),
        input_names=list(graph.inputs),
        output_names=graph.outputs,
        dynamic_shapes=tuple(sizes.values()),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    model.metadata_props.append(onnx.StringStringEntryProto(key="s2s", value=json.dumps(graph.notes)))
    onnx.save_model(model, str(path))
