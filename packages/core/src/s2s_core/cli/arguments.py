"""Arguments of a verb, read by argparse but refused as every other mistake is; and those that many verbs have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from s2s_core.errors import UserError


class VerbParser(argparse.ArgumentParser):
    """Raises UserError, one line, where argparse prints the usage and exits; takes no abbreviated options."""

    def __init__(
        self,
        prog: str | None = None,
        description: str | None = None,
        epilog: str | None = None,
        formatter_class: type[argparse.HelpFormatter] = argparse.HelpFormatter,
        add_help: bool = True,
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=formatter_class,
            add_help=add_help,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def count(text: str) -> int:
    """A type for argparse: a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def number_in(low: float, high: float, kind: type = float) -> Callable[[str], Any]:
    """A type for argparse: numbers from ``low`` to ``high``."""

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected a number from {low:g} to {high:g}, got {text!r}")
        return value

    return convert


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, for `chosen_device` to read."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)")


def chosen_device(name: str) -> str:
    """The device that ``--device`` names; ``auto`` is CUDA where there is one."""
    import torch  # takes seconds to import, --help should not

    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add ``--precision`` of a model in use, see `s2s_core.precision.inference`."""
    parser.add_argument("--precision", choices=["32-true", "bf16"], default="32-true", help="(default: %(default)s)")
