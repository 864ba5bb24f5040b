"""When finished sentences leave the batch."""

from __future__ import annotations

from collections.abc import Sequence

LEAST_SHARE = 8
"""Finished sentences leave when they are one in so many of the batch: each leave-taking copies all caches."""


def staying(done: Sequence[bool]) -> list[int]:
    """The places of the batch that go on: those that are not done, or all while few are."""
    places = [place for place, over in enumerate(done) if not over]
    return places if (len(done) - len(places)) * LEAST_SHARE >= len(done) else list(range(len(done)))
