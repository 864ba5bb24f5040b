"""Packaged configs: found by name, listed with their first line."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

import yaml

from s2s_core.errors import UserError

CORE_PACKAGE = "s2s_core"
SWEEPS = "sweeps"
"""The folder, among a task's configs, of those that are sweeps."""


def config_folder(package: str) -> Path | None:
    """The folder of a package's configs: inside the package when installed from a wheel, beside its sources else."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    candidates = (home / "configs", home.parent.parent / "configs")
    return next((folder for folder in candidates if folder.is_dir()), None)


def packaged_configs(home: str) -> dict[str, Path]:
    """All configs that a task can name: its own, and the core's overlays. Sweeps are not among them.

    Args:
        home: the task's package, or ``package/folder`` where only a subfolder of its configs is the task's; names
            are relative to it.
    """
    found: dict[str, Path] = {}
    for owner in (CORE_PACKAGE, home):
        package, _, subfolder = owner.partition("/")
        folder = config_folder(package)
        if folder is not None:
            folder = folder / subfolder
            for path in sorted(folder.rglob("*.yaml")):
                name = path.relative_to(folder).with_suffix("")
                if SWEEPS not in name.parts:
                    found[name.as_posix()] = path
    return found


def packaged_sweeps(home: str) -> dict[str, Path]:
    """The sweeps that come with a task, by name; ``home`` as `packaged_configs` takes it."""
    package, _, subfolder = home.partition("/")
    folder = config_folder(package)
    if folder is None:
        return {}
    return {path.stem: path for path in sorted((folder / subfolder / SWEEPS).glob("*.yaml"))}


def find_sweep(name: str, home: str) -> Path:
    """Return the sweep file that ``sweep --config name`` means: an existing file first, else a packaged one.

    Raises:
        UserError: if there is neither; names the packaged ones.
    """
    path = Path(name)
    found = packaged_sweeps(home)
    if path.is_file():
        return path
    if name in found:
        return found[name]
    raise UserError(f"sweep '{name}': neither a file nor a packaged sweep; packaged are {', '.join(found) or 'none'}")


def find_config(name: str, home: str) -> Path:
    """Return the file that ``--config name`` means: an existing file first, else a packaged config.

    Raises:
        UserError: if there is neither; names the nearest packaged configs.
    """
    path = Path(name)
    return path if path.is_file() else find_packaged(name, home, "neither a file nor a packaged config")


def find_packaged(name: str, home: str, complaint: str) -> Path:
    """Return the packaged config called ``name``.

    Raises:
        UserError: with the complaint and the nearest names, if there is none.
    """
    configs = packaged_configs(home)
    stem = name.removesuffix(".yaml")
    if stem in configs:
        return configs[stem]
    near = get_close_matches(stem, configs, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "list them with the command 'configs'"
    raise UserError(f"config '{name}': {complaint}; {hint}")


def describe_config(path: Path) -> str:
    """The first comment line of a config: what it is."""
    with path.open(encoding="utf-8") as file:
        first = file.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""


def resolve_config_arguments(arguments: list[str], home: str) -> list[str]:
    """Replace the names after ``--config``/``-c`` by the files they mean.

    Raises:
        UserError: if there is no such config, or it is not YAML.
    """
    resolved: list[str] = []
    takes_name = False
    for argument in arguments:
        if takes_name:
            resolved.append(str(_readable(find_config(argument, home))))
            takes_name = False
        elif argument.startswith("--config="):
            resolved.append(f"--config={_readable(find_config(argument.removeprefix('--config='), home))}")
        else:
            resolved.append(argument)
            takes_name = argument in ("--config", "-c")
    if takes_name:
        raise UserError("--config: expected the name of a packaged config or a file")
    return resolved


def _readable(path: Path) -> Path:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"config '{path}': not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"config '{path}': expected keys and values, found {type(content).__name__}")
    return path
