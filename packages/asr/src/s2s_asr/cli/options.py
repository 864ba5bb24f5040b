"""What the command lines of recognition's verbs share."""

from __future__ import annotations

import argparse


def positive(text: str) -> float:
    """Seconds above 0."""
    number = not_negative(text)
    if number == 0:
        raise argparse.ArgumentTypeError("expected seconds above 0, got 0")
    return number


def not_negative(text: str) -> float:
    """Seconds."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, got {text!r}")
    return number
