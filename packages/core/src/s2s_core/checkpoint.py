"""Checkpoints: written whole or not at all, read without executing anything, rebuilt without a config.

A checkpoint is Lightning's, with one section more, ``s2s``: the task's name, the tree of ``class_path`` and
``init_args`` that builds it, and the files that its tokenizer needs. Weights are float32.
"""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import nn

from s2s_core import __version__, trust
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_core.task import Task

SECTION = "s2s"
FORMAT = 1


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary file beside the target, flushes it to the disk and renames it into place."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                _save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(path, map_location)


def _save(checkpoint: dict[str, Any], file: IO[bytes]) -> None:
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:
        # Ctrl-C within a write leaves torch's archive with a part too many, of which it then complains instead
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint's plain data and tensors.

    Raises:
        UserError: if the file is absent, a folder, truncated (names the newest whole one beside it), or no s2s
            checkpoint.
    """
    file = Path(path)
    if file.is_dir():
        raise UserError(f"checkpoint '{file}': a folder; expected a file{_newest_below(file)}")
    if not file.is_file():
        raise UserError(f"checkpoint '{file}': no such file")
    checkpoint = _try_read(file, map_location)
    if checkpoint is None:
        raise UserError(f"checkpoint '{file}': truncated or not a checkpoint{_last_good_beside(file)}")
    if not isinstance(checkpoint, dict) or SECTION not in checkpoint:
        raise UserError(f"checkpoint '{file}': not written by s2s (it has no '{SECTION}' section)")
    if checkpoint[SECTION].get("format", 0) > FORMAT:
        written_by = checkpoint[SECTION].get("version", "a newer version")
        raise UserError(f"checkpoint '{file}': written by s2s {written_by}, newer than this one ({__version__})")
    return checkpoint


def _try_read(file: Path, map_location: Any) -> Any | None:
    try:
        return torch.load(file, map_location=map_location, weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError):
        return None


def _last_good_beside(file: Path) -> str:
    others = [p for p in file.parent.glob("*.ckpt") if p != file]
    for other in sorted(others, key=lambda p: p.stat().st_mtime, reverse=True):
        if _try_read(other, "meta") is not None:
            return f"; the newest whole one beside it is '{other}'"
    return ""


def _newest_below(run: Path) -> str:
    newest = max(run.glob("**/*.ckpt"), key=lambda file: file.stat().st_mtime, default=None)
    return f"; its newest checkpoint is '{newest}'" if newest else ""


def section_of(task: Task) -> dict[str, Any]:
    """What a checkpoint says of a task beside its weights."""
    assets = {name: torch.frombuffer(bytearray(data), dtype=torch.uint8) for name, data in task.assets().items()}
    return {"format": FORMAT, "version": __version__, "task": task.name, "spec": task.describe(), "assets": assets}


def assets_of(checkpoint: dict[str, Any]) -> dict[str, bytes]:
    """The files that travel in a checkpoint, by name."""
    return {name: data.numpy().tobytes() for name, data in checkpoint[SECTION]["assets"].items()}


def check_task(checkpoint: dict[str, Any], path: str | os.PathLike[str], task: str) -> None:
    """Raise UserError unless the checkpoint is of the task called ``task``."""
    found = checkpoint[SECTION]["task"]
    if found != task:
        raise UserError(f"checkpoint '{path}': of task '{found}', expected one of task '{task}'")


def load_task(path: str | os.PathLike[str], task: str | None = None, device: str | torch.device = "cpu") -> Task:
    """Rebuild a trained task from its checkpoint alone, in evaluation mode.

    Args:
        path: a checkpoint written by ``fit``.
        task: the expected task's name, such as ``asr``.
        device: where to put it.

    Raises:
        UserError: if the file is unreadable, of another task, names classes outside the trusted namespaces, or holds
            weights that do not fit them; or if the device is not there.
    """
    checkpoint = read_checkpoint(path)
    if task is not None:
        check_task(checkpoint, path, task)
    module = build_task(checkpoint[SECTION]["spec"], f"checkpoint '{path}'")
    module.load_assets(assets_of(checkpoint))
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise UserError(f"checkpoint '{path}': its weights do not fit: {' '.join(str(error).split())[:300]}") from error
    try:
        return module.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device '{device}' cannot be used: {str(error).splitlines()[0]}") from None


def build_task(spec: dict[str, Any], source: str) -> Task:
    """Build a task from its ``class_path`` tree, checked against the constructors' types.

    Raises:
        UserError: naming ``source`` if a class is untrusted, absent or does not take these arguments.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    from s2s_core.task import Task

    check_trusted(spec, source)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Task, "task", fail_untyped=False)
    try:
        with trust.enforced():
            return parser.instantiate(parser.parse_object({"task": copy.deepcopy(spec)})).task
    except (ArgumentError, ValueError) as error:
        raise UserError(f"{source}: cannot be rebuilt: {' '.join(str(error).split())[:300]}") from error


def check_trusted(spec: Any, source: str) -> None:
    """Raise UserError if a ``class_path`` anywhere in the tree lies outside the trusted namespaces."""
    if isinstance(spec, dict):
        path = spec.get("class_path")
        if isinstance(path, str) and not trust.is_trusted(path):
            raise UserError(f"{source}: {trust.refusal(path)}")
        for value in spec.values():
            check_trusted(value, source)
    elif isinstance(spec, list):
        for value in spec:
            check_trusted(value, source)


def load_matching(module: nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """Load the weights whose name and shape match, for fine-tuning.

    Returns:
        one line for each weight that was not loaded or not filled, saying why; empty if all matched.
    """
    own = module.state_dict()
    notes = []
    fitting = {}
    for name, value in state.items():
        if name not in own:
            notes.append(f"{name}: in the checkpoint only")
        elif own[name].shape != value.shape:
            notes.append(f"{name}: {tuple(value.shape)} in the checkpoint, {tuple(own[name].shape)} here")
        else:
            fitting[name] = value
    notes += [f"{name}: not in the checkpoint, left as initialised" for name in own if name not in state]
    module.load_state_dict(fitting, strict=False)
    return notes
