"""How far, how fast and how long still."""

from __future__ import annotations

from s2s_core.cli.status_line import StatusLine, clock


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
        self._line = StatusLine()

    def finished(self, sentences: int) -> None:
        """So many more are translated."""
        self._done += sentences
        speed = self._done / self._line.elapsed_s
        of = f" of {self.total:,}" if self.total else ""
        left = f", {clock((self.total - self._done) / speed)} left" if self.total and speed else ""
        self._line.show(f"{self._done:,}{of} sentences, {speed:.1f}/s{left}")

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
        self._line.clear()

    def summary(self) -> str:
        """What was done, for the last line."""
        elapsed_s = self._line.elapsed_s
        failed = f", {self.failures:,} failed" if self.failures else ""
        noun = "sentence" if self._done == 1 else "sentences"
        rates = f"{self._done / elapsed_s:.1f} sentences/s, {self._tokens / elapsed_s:.0f} tokens/s"
        return f"{self._done:,} {noun}{failed} in {elapsed_s:.1f} s: {rates}"
