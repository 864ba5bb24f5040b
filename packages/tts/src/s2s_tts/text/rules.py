"""Rewriting text by rules, one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from re import Match
from typing import NamedTuple


class Rule(NamedTuple):
    """What is looked for, and what stands in its place."""

    pattern: re.Pattern[str]
    rewrite: Callable[[Match[str]], str]


def rule(pattern: str, rewrite: Callable[[Match[str]], str]) -> Rule:
    """A rule from the text of its pattern, which may be spread over lines and commented."""
    return Rule(re.compile(pattern, re.VERBOSE), rewrite)


def choice(names: Iterable[str]) -> str:
    """A pattern, to stand within a group, for one of the names; where one begins another, the longer is tried first."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def rewritten(text: str, rules: Iterable[Rule]) -> str:
    """``text`` after every rule has had its turn, each at all places."""
    for pattern, rewrite in rules:
        text = pattern.sub(rewrite, text)
    return text
