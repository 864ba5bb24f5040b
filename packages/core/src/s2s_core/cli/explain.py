"""jsonargparse's reports of a wrong config, reduced to one line that names the key and what was expected."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module


def explain(report: str, known_keys: Iterable[str]) -> str:
    """Word a report of jsonargparse for the person who wrote the config.

    Args:
        report: the text of its ``ArgumentError``, of one line or many.
        known_keys: the parser's top-level keys, for suggestions.
    """
    # optional sections are unions with None; what None has to say is of no use
    text = " ".join(report.split()).split(" - Expected a <class 'NoneType'>")[0]
    place = ".".join(re.findall(r'[Pp]arser key "([^"]+)"', text))
    where = f"config: {place}: " if place else "config: "
    if match := re.search(r"[Uu]nrecognized arguments: -*([^=\s]+)", text):
        return f"config: unknown key '{match[1]}'{_did_you_mean(match[1], known_keys)}"
    if match := re.search(r"Option '([^']+)' is not accepted", text):
        owner = _last_class_path(text)
        hint = _did_you_mean(match[1], _arguments(owner))
        return f"{where}{owner.rpartition('.')[2]} has no argument '{match[1]}'{hint}"
    if match := re.search(r"Import path (\S+) does not correspond to a subclass of (\w+)", text):
        return f"{where}{match[1]} is not a kind of {match[2]}"
    if match := re.search(r"Expected a <class '([\w.]+)'>\. Got value: (.+)", text):
        return f"{where}expected {match[1]}, got {match[2]}"
    reason = text.rpartition(f'"{place.rpartition(".")[2]}":')[2] if place else text
    return where + reason.strip()


def _did_you_mean(wrong: str, known: Iterable[str]) -> str:
    near = get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def _last_class_path(text: str) -> str:
    paths = re.findall(r"class_path[ =]'([\w.]+)'", text)
    return paths[-1] if paths else "it"


def _arguments(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    try:
        return list(inspect.signature(getattr(import_module(module), name)).parameters)
    except (ImportError, AttributeError, ValueError):
        return []
