"""Reports of a wrong config, or of a part that refuses it, reduced to one line: the key and what was expected."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module

from s2s_core.trust import refusal


def explain(report: str, known_keys: Iterable[str]) -> str:
    """Word a report of jsonargparse for the person who wrote the config.

    Args:
        report: the text of its ``ArgumentError``, or of the ``ValueError`` of a part, of one line or many.
        known_keys: the parser's top-level keys, for suggestions.
    """
    # optional sections are unions with None; what None has to say is of no use
    text = " ".join(report.split()).split(" - Expected a <class 'NoneType'>")[0]
    place = ".".join(re.findall(r'[Pp]arser key "([^"]+)"', text))
    where = f"config: {place}: " if place else "config: "
    if match := re.search(r"Importing '([\w.]+)' is not allowed", text):
        return where + refusal(match[1])
    if match := re.search(r"[Uu]nrecognized arguments: -*([^=\s]+)", text):
        return f"config: unknown key '{place + '.' * bool(place)}{match[1]}'{_did_you_mean(match[1], known_keys)}"
    if match := re.search(r"Option '([^']+)' is not accepted", text):
        owner = _last_class_path(text)
        hint = _did_you_mean(match[1], _arguments(owner))
        return f"{where}{owner.rpartition('.')[2]} has no argument '{match[1]}'{hint}"
    if match := re.search(r"Import path (\S+) does not correspond to a subclass of (\w+)", text):
        return f"{where}{match[1]} is not a kind of {match[2]}"
    if match := re.search(r"the following arguments are required: ([^\n]+)", report):
        return f"{where}{_last_class_path(text).rpartition('.')[2]} needs {match[1].strip()}"
    if match := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", text):
        return f"{where}{match[1]} has no '{match[2]}'{_did_you_mean(match[2], dir(sys.modules.get(match[1])))}"
    if match := re.search(r"Expected a (<class '[\w.]+'>|typing\.Literal\[[^]]*\])\. Got value: (.+)", text):
        return f"{where}expected {_kind(match[1])}, got {match[2]}"
    if reason := _reason_of_union(report):
        return where + reason
    reason = text.rpartition(f'"{place.rpartition(".")[2]}":')[2] if place else text
    return where + reason.strip()


def _reason_of_union(report: str) -> str:
    """What is wrong with a value that could be of several types: the bullets below which there are no others."""
    bullets = re.findall(r"^( *)- (.+)$", report, re.MULTILINE)
    depths = [len(indent) for indent, _ in bullets] + [0]
    leaves = [text for place, (_, text) in enumerate(bullets) if depths[place + 1] <= depths[place]]
    types = (re.fullmatch(r"Expected a (<class .+>|typing\.Literal.+)", leaf) for leaf in leaves)
    kinds = [_kind(match[1]) for match in types if match and "NoneType" not in match[1]]
    reasons = [leaf for leaf in leaves if not leaf.startswith("Expected a ")]
    given = re.search(r"Given value: (.+?)(?:\. Got value: .*)?$", report, re.MULTILINE)
    if reasons or not kinds or given is None:
        return reasons[0] if reasons else ""
    return f"expected {' or '.join(kinds)}, got {given[1]}"


def _kind(kind: str) -> str:
    if kind.startswith("<class"):
        return kind.removeprefix("<class '").removesuffix("'>")
    return "one of " + kind.removeprefix("typing.Literal[").removesuffix("]").replace("'", "")


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
