"""A line on a terminal that says how far a verb is."""

from __future__ import annotations

import sys
import time

CLEAR = "\r\033[K"


class StatusLine:
    """Drawn over itself on standard error, where that is a terminal; elsewhere nothing is shown. Its clock runs from
    when it was made."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Never 0, to be divided by."""
        return max(time.monotonic() - self._began, 1e-9)

    def show(self, text: str) -> None:
        """Draw it anew."""
        if self.shown:
            print(f"{CLEAR}{text}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Make room for other output."""
        self.show("")


def clock(seconds: float) -> str:
    """``1:02:05``; without hours where there are none."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
