"""Benchmarks run by hand, on quiet machines: what each takes from this repository is there."""

import ast
from importlib import import_module

import pytest

from pages import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
OURS = {path.stem for path in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(script, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            package = node.module.split(".")[0]
            if package in OURS or package.startswith("s2s_"):
                module = import_module(node.module)
                assert not [alias.name for alias in node.names if not hasattr(module, alias.name)], node.module
