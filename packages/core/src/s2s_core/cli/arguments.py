"""Arguments of a verb, read by argparse but refused as every other mistake is."""

from __future__ import annotations

import argparse
from typing import NoReturn

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
