"""How far, how fast and how long still."""

from __future__ import annotations

import sys
import time


class Rate:
    """A line on a terminal while sentences are translated; and the counts for the summary.

    Args:
        total: how many sentences there are, if that is known.
    """

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.failures = 0
        self._done = 0
        self._tokens = 0
        self._shown = sys.stderr.isatty()
        self._began = time.monotonic()

    def finished(self, sentences: int) -> None:
        """So many more are translated."""
        self._done += sentences
        if not self._shown:
            return
        speed = self._done / self._elapsed_s()
        of = f" of {self.total:,}" if self.total else ""
        left = f", {_clock((self.total - self._done) / speed)} left" if self.total and speed else ""
        print(f"\r\033[K{self._done:,}{of} sentences, {speed:.1f}/s{left}", end="", file=sys.stderr, flush=True)

    def wrote(self, tokens: int) -> None:
        """A translation of so many tokens was written."""
        self._tokens += tokens
        self.close()

    def failed(self) -> None:
        """One could not be translated."""
        self.failures += 1
        self.close()

    def close(self) -> None:
        """Clear the line."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def summary(self) -> str:
        """What was done, for the last line."""
        elapsed_s = self._elapsed_s()
        failed = f", {self.failures:,} failed" if self.failures else ""
        noun = "sentence" if self._done == 1 else "sentences"
        rates = f"{self._done / elapsed_s:.1f} sentences/s, {self._tokens / elapsed_s:.0f} tokens/s"
        return f"{self._done:,} {noun}{failed} in {elapsed_s:.1f} s: {rates}"

    def _elapsed_s(self) -> float:
        return max(time.monotonic() - self._began, 1e-9)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
