"""Where a loader goes on."""

from __future__ import annotations

from collections.abc import Callable


def position(
    epoch: int,
    start: int,
    handed_over: tuple[int, int],
    whole: int,
    trained: Callable[[], tuple[int, int | float]] | None,
) -> tuple[int, int]:
    """The epoch, and how many of its batches lie behind; none of the next one where they all do.

    Args:
        epoch: that is read.
        start: the batch that its reading began with.
        handed_over: the epoch and the number of batches that were handed to a trainer, which may have fetched some
            ahead.
        whole: how many batches the epoch has.
        trained: how many of them the trainer is done with, and after how many it ends the epoch.
    """
    batches = max(start, handed_over[1]) if handed_over[0] == epoch else start
    if trained is not None:
        done, limit = trained()
        batches, whole = min(batches, done), int(min(whole, limit))
    return (epoch + 1, 0) if batches >= whole else (epoch, batches)
