"""Parts remember how they were built, so that a checkpoint can say how to build them again."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any


class Part:
    """Base of everything that a recipe names by ``class_path``: encoders, losses, tokenizers, tasks.

    Each subclass's constructor is wrapped to record its bound arguments, defaults included. ``describe`` turns
    them into the plain tree that the YAML config would hold; a checkpoint stores that tree and nothing executable.
    """

    _built_from: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording(cls.__init__)  # type: ignore[method-assign]

    def describe(self) -> dict[str, Any]:
        """Return ``{"class_path": ..., "init_args": {...}}``: numbers, strings, lists and dicts only.

        Raises:
            TypeError: if an argument is neither plain data, a `Part`, a dataclass nor a partial of a class.
        """
        cls = type(self)
        init_args = {name: _plain(value, f"{cls.__name__}.{name}") for name, value in _arguments_of(self).items()}
        return {"class_path": f"{cls.__module__}.{cls.__qualname__}", "init_args": init_args}


def _arguments_of(part: Part) -> dict[str, Any]:
    return part.__dict__.get("_built_from", {})


def _recording(init: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapper(self: Part, *args: Any, **kwargs: Any) -> None:
        if "_built_from" not in self.__dict__:  # the outermost constructor is the one the recipe called
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            arguments = dict(list(bound.arguments.items())[1:])
            # nn.Module forbids plain attribute assignment of modules before its own __init__ has run
            object.__setattr__(self, "_built_from", arguments)
        init(self, *args, **kwargs)

    return wrapper


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Enum):
        return value.name  # as jsonargparse reads them
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Part):
        return value.describe()
    if isinstance(value, functools.partial):
        return _plain_partial(value, where)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise TypeError(f"{where}: a {type(value).__name__} cannot be written into a checkpoint as plain data")


def _plain_partial(value: functools.partial[Any], where: str) -> dict[str, Any]:
    # jsonargparse hands optimizers over as a partial of its own function with the class among the arguments
    classes = [x for x in (value.func, *value.args) if inspect.isclass(x)]
    if len(classes) != 1:
        raise TypeError(f"{where}: expected a partial of one class, got {value}")
    cls = classes[0]
    init_args = {name: _plain(item, f"{where}.{name}") for name, item in value.keywords.items()}
    return {"class_path": f"{cls.__module__}.{cls.__qualname__}", "init_args": init_args}
