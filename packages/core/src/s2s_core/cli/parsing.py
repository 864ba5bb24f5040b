"""Arguments parsed, and their classes trusted, with one line for what is wrong with them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from s2s_core.checkpoint import check_trusted
from s2s_core.cli.explain import explain
from s2s_core.errors import UserError
from s2s_core.trust import enforced

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

SECTIONS = ("model", "data")


def parse_checked(parser: ArgumentParser, arguments: Any, where: str = "") -> Any:
    """Parse the arguments of a run.

    Args:
        parser: of every key.
        arguments: words of a command line, or sections.
        where: what a complaint begins with.

    Raises:
        UserError: naming the key and what was expected, or a class that is not trusted.
    """
    try:
        with enforced():
            config = parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        raise UserError(where + explain(str(error), [action.dest for action in parser._actions])) from error
    for section in SECTIONS:
        check_trusted(config[section].as_dict() if config.get(section) else None, f"{where}config")
    return config
