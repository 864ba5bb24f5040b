"""Reads a Python config as data: assignments of literals, names and calls; nothing in it is executed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2s_core.errors import UserError

ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
LONGEST = 100_000
"""Of what arithmetic may make: ``[0] * 10**9`` is no config."""


@dataclass(frozen=True)
class Name:
    """A class or function that the config names: ``tf.float32``, ``TDNNEncoder``."""

    path: str

    @property
    def last(self) -> str:
        """Without its module."""
        return self.path.rpartition(".")[2]

    def __str__(self) -> str:
        return self.path


def read_python_config(path: Path) -> dict[str, Any]:
    """The variables that a config assigns.

    Numbers, texts, lists, tuples and dicts are themselves; a name that the config does not assign is a `Name`; a call
    is the `Name` of what is called, ``os.path.join`` and ``dict`` apart, which are computed; a lambda is a `Name` too.

    Raises:
        UserError: with the file and line, if it is no Python, or does what only running it could tell.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        raise UserError(f"{path}{f':{line}' if line else ''}: not readable as Python: {error}") from error
    reader = _Reader(path)
    for statement in tree.body:
        reader.take(statement)
    return reader.variables


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.variables: dict[str, Any] = {}

    def take(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass):
            return
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return  # a docstring
        if isinstance(statement, ast.Assign):
            value = self.value(statement.value)
            for target in statement.targets:
                self._assign(target, value)
            return
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            self._assign(statement.target, self.value(statement.value))
            return
        raise self._refuse(statement, "a statement that only running it could judge")

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.variables[target.id] = value
        elif isinstance(target, ast.Subscript) and isinstance(holder := self.value(target.value), dict):
            key = self.value(target.slice)
            if isinstance(key, list | dict):
                raise self._refuse(target, "a key that is neither text nor a number")
            holder[key] = value
        else:
            raise self._refuse(target, "an assignment to something else than a variable or a key")

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.List | ast.Tuple):
            return [self.value(item) for item in node.elts]
        if isinstance(node, ast.Dict):
            return self._dict(node)
        if isinstance(node, ast.Name):
            return self.variables.get(node.id, Name(node.id))
        if isinstance(node, ast.Attribute):
            return Name(ast.unparse(node))
        if isinstance(node, ast.Lambda):
            return Name(ast.unparse(node))
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._number(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            return self._computed(node)
        if isinstance(node, ast.Subscript):
            return self._entry(node)
        raise self._refuse(node, "an expression that only running it could tell")

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.value(item)
            if key is None and isinstance(value, dict):
                found.update(value)
            elif key is not None and isinstance(name := self.value(key), str | int | float):
                found[name] = value
            else:
                raise self._refuse(item, "a key that is neither text nor a number")
        return found

    def _call(self, node: ast.Call) -> Any:
        called = ast.unparse(node.func)
        if called == "dict" and not node.args:
            return self._keywords(node)
        if called in ("os.path.join", "path.join"):
            parts = [self.value(argument) for argument in node.args]
            return "/".join(str(part).rstrip("/") for part in parts)
        return Name(called)

    def _keywords(self, node: ast.Call) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for word in node.keywords:
            value = self.value(word.value)
            if word.arg is not None:
                found[word.arg] = value
            elif isinstance(value, dict):
                found.update(value)
            else:
                raise self._refuse(word, "** before what is no dict")
        return found

    def _number(self, node: ast.expr) -> int | float:
        value = self.value(node)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refuse(node, "a minus before what is no number")
        return value

    def _computed(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(left, Name) or isinstance(right, Name):
            return Name(ast.unparse(node))
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | list) and isinstance(times, int) and len(many) * times > LONGEST:
                raise self._refuse(node, "something far too long")
        try:
            return ARITHMETIC[type(node.op)](left, right)
        except (TypeError, ArithmeticError) as error:
            raise self._refuse(node, f"what cannot be computed ({error})") from error

    def _entry(self, node: ast.Subscript) -> Any:
        holder = self.value(node.value)
        try:
            return holder[self.value(node.slice)] if not isinstance(holder, Name) else Name(ast.unparse(node))
        except (KeyError, IndexError, TypeError) as error:
            raise self._refuse(node, f"an entry that is not there ({error})") from error

    def _refuse(self, node: ast.AST, what: str) -> UserError:
        line = getattr(node, "lineno", 0)
        return UserError(f"{self.path}:{line}: expected a config of plain assignments, found {what}")
