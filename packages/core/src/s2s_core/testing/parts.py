"""Finding every part of every installed package, without a list that someone would have to keep."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from typing import TypeVar, cast

from s2s_core.part import Part

T = TypeVar("T")
SERVING = ("fastapi", "pydantic", "starlette", "uvicorn")
"""Of the extra ``serve``, which may not be installed: what imports them has no parts."""


def installed_packages() -> list[str]:
    """The import names of the toolkit's installed packages."""
    return sorted(module.name for module in pkgutil.iter_modules() if module.ispkg and module.name.startswith("s2s_"))


def find_parts(base: type[T]) -> list[type[T]]:
    """Import all modules of all installed packages and return the concrete subclasses of ``base``, by name."""
    packages = installed_packages()
    for package in packages:
        for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            if not module.name.endswith(".__main__"):
                _import(module.name)
    ours = {cls for cls in _subclasses(base) if cls.__module__.partition(".")[0] in packages}
    concrete = (cls for cls in ours if not inspect.isabstract(cls))
    return sorted(concrete, key=lambda cls: f"{cls.__module__}.{cls.__qualname__}")


def _import(name: str) -> None:
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in SERVING:
            raise


def _subclasses(base: type[T]) -> set[type[T]]:
    direct = set(base.__subclasses__())
    return direct.union(*(_subclasses(cls) for cls in direct))


def examples_of(cls: type[Part]) -> list[Part]:
    """Return the small instances that a part's class offers for its contract tests.

    The convention: a classmethod ``examples() -> list[Self]`` without arguments, which builds instances that
    together use every branch of the constructor that can matter to the contract (each norm, each kind of residual,
    each direction), small enough to run in milliseconds and without dropout. A subclass has its own.

    Raises:
        AssertionError: if there are none, or they are of another class.
    """
    name = f"{cls.__module__}.{cls.__qualname__}"
    make = getattr(cls, "examples", None)
    assert callable(make), f"{name} has no classmethod examples(): small instances for the contract tests"
    made = cast("list[Part]", make())
    assert made, f"{name}.examples() is empty"
    for part in made:
        assert type(part) is cls, f"{name}.examples() returned a {type(part).__name__}: define its own"
    return made
