"""What the two ``classify`` verbs do with answers: one a line, and how many were right."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Protocol, TextIO, TypeVar

from s2s_core.errors import UserError


class _Labelled(Protocol):
    @property
    def label(self) -> str | None: ...


SourceT = TypeVar("SourceT", bound=_Labelled)
AnswerT = TypeVar("AnswerT", bound=_Labelled)


def write_answers(
    answers: Iterable[tuple[SourceT, AnswerT | UserError]],
    noun: str,
    line: Callable[[SourceT, AnswerT], str],
    output: TextIO,
) -> int:
    """Write each answer as it comes; what cannot be read is named on standard error, and the sums at the end.

    Args:
        answers: sources, whose label is None where it is not known, and what they were taken for.
        noun: of one source.
        line: words an answer.
        output: where lines go.

    Returns:
        The exit status: 1 if anything could not be read.
    """
    count = failures = right = known = 0
    for source, answer in answers:
        count += 1
        if isinstance(answer, UserError):
            failures += 1
            print(f"error: {answer}", file=sys.stderr)
            continue
        known += source.label is not None
        right += source.label == answer.label
        print(line(source, answer), file=output, flush=True)
    summary = f"{count} {noun}{'' if count == 1 else 's'}"
    summary += f", {failures} failed" if failures else ""
    summary += f"; accuracy {right / known:.2%} over {known} labels" if known else ""
    print(summary, file=sys.stderr)
    return 1 if failures else 0
