"""What every endpoint must keep: an answer does not depend on who else asks, and is what the schema says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_core.serving.endpoint import Endpoint


def answers_in_any_company(endpoint: Endpoint[Any], asked: Sequence[Any], tolerance: float = 1e-3) -> list[Any]:
    """Ask each question alone and all of them together, and return the answers.

    Args:
        endpoint: whose questions have equal keys.
        asked: questions or uploads that it can answer.
        tolerance: of numbers, absolute; of samples in recordings, relative to full scale.

    Raises:
        AssertionError: if answers differ, or hold what the endpoint's schema does not know.
    """
    prepared = [endpoint.prepare(one) for one in asked]
    assert len({endpoint.key(one) for one in prepared}) == 1, "they would not share a batch"
    together = list(endpoint.run(prepared))
    for one, answer in zip(prepared, together, strict=True):
        [alone] = endpoint.run([one])
        assert _alike(alone, answer, tolerance), f"alone {alone!r}, with others {answer!r}"
        if endpoint.answers != "wav":
            shown = endpoint.answers.model_validate(answer).model_dump(exclude_unset=True)
            assert shown == answer, f"the schema loses some of {answer!r}"
    return together


def _alike(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key], tolerance) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(_alike(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, bytes):
        return len(a) == len(b) and _samples_alike(a, b, tolerance)
    if isinstance(a, float):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    return a == b


def _samples_alike(a: bytes, b: bytes, tolerance: float) -> bool:
    import numpy as np

    header = 44
    first, second = (np.frombuffer(wav[header:], np.int16).astype(np.int64) for wav in (a, b))
    return a[:header] == b[:header] and bool((abs(first - second) <= tolerance * 2**15).all())
